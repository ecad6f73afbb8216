//! Stages and the HTTP API on a database that records its requests and holds nothing.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use axum::{Router, body::Bytes, http::HeaderMap};
use engine::{Context, Engine, OrdersTable, Publisher};
use jiff::{SignedDuration, Timestamp};
use kafka::{Brokers, Producer};
use order_api::{Cors, OrderApi, Request};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

/// The requests that a database received: operation and body.
type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// A process without database and brokers.
pub(crate) struct Harness {
    /// The clients of the process.
    pub(crate) context: Context,
    requests: Requests,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let requests = Requests::default();
        let client = Client::from_conf(
            aws_sdk_dynamodb::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::from_static("us-east-1"))
                .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
                .endpoint_url(database(Arc::clone(&requests)).await)
                .build(),
        );
        // Nothing is published, so it does not matter that there are no brokers.
        let brokers = Brokers::plaintext("127.0.0.1:9");
        let producer = Producer::new(&brokers, Duration::from_secs(1)).expect("a producer");
        let context = Context {
            orders: OrdersTable {
                client,
                name: "orders".to_owned(),
                clock: || Timestamp::UNIX_EPOCH,
            },
            publisher: Publisher::new(producer),
            clock: || Timestamp::UNIX_EPOCH,
            row_ttl: SignedDuration::from_hours(24),
            reports_batch_item_failures: true,
        };
        Self { context, requests }
    }

    /// Sends a request without a body to the HTTP API; returns the response of the function.
    pub(crate) async fn http(&self, method: &str, path: &str, query: &str) -> Value {
        let api = OrderApi {
            engine: Engine::new(self.context.clone()),
            context: self.context.clone(),
            new_id: Uuid::nil,
            customer_claim: None,
            cors: Cors { origins: Vec::new() },
        };
        let event = to_raw_value(&json!({
            "rawPath": path, "rawQueryString": query, "headers": {},
            "requestContext": { "http": { "method": method } },
        }));
        let request = Request::read(&event.expect("JSON")).expect("an HTTP request");
        let response = api.answer(&request.expect("a request")).await;
        serde_json::to_value(response).expect("a response is JSON")
    }

    /// The requests of one operation that the database received.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Value> {
        let requests = self.requests.lock().expect("the requests");
        let of_operation = requests.iter().filter(|(name, _)| name == operation);
        of_operation.map(|(_, body)| body.clone()).collect()
    }
}

/// Starts a database in which every query finds nothing; returns its address.
async fn database(requests: Requests) -> String {
    let app = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
        let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
        let operation = target.and_then(|it| it.rsplit('.').next()).unwrap_or_default().to_owned();
        let body = serde_json::from_slice(&body).expect("a request is JSON");
        requests.lock().expect("the requests").push((operation, body));
        async { json!({ "Items": [], "Count": 0, "ScannedCount": 0 }).to_string() }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("the database serves") });
    url
}
