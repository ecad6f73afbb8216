//! A harness with a stub database that records requests and contains one pending order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use axum::{Router, body::Bytes, http::HeaderMap};
use contracts::{EventType, OrderId, StoredEvent};
use engine::{Context, Engine, OrdersTable, Publisher, row::attribute};
use jiff::{SignedDuration, Timestamp};
use kafka::{Brokers, Producer};
use order_api::{Cors, CustomerClaim, OrderApi, RecoverySettings, Request, Waits};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

/// The requests that a database received: operation and body.
type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// The id of the only order in the database, which never ends.
const PENDING_ORDER: &str = "ord-pending";

pub(crate) struct Harness {
    pub(crate) context: Context,
    pub(crate) api: OrderApi,
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
        // Nothing is published, so no broker is needed.
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
        let api = OrderApi {
            engine: Engine::new(context.clone()),
            context: context.clone(),
            new_id: Uuid::nil,
            customer_claim: CustomerClaim::Unset,
            cors: Cors { origins: Vec::new() },
            waits: Waits::new(20),
            // The recovery queries one age.
            recovery: RecoverySettings {
                ages: vec![SignedDuration::from_mins(5)],
                window: SignedDuration::from_mins(6),
                expires_after: None,
            },
        };
        Self { context, api, requests }
    }

    /// Sends a request without a body to the HTTP API.
    pub(crate) async fn http(&self, method: &str, path: &str, query: &str) -> Value {
        self.respond(&json!({
            "rawPath": path, "rawQueryString": query, "headers": {},
            "requestContext": { "http": { "method": method } },
        }))
        .await
    }

    /// Waits for the end of a pending order, in a request that API Gateway received this long ago.
    pub(crate) async fn wait(&self, elapsed_ms: i64, seconds: u64) -> Value {
        self.respond(&json!({
            "rawPath": format!("/orders/{PENDING_ORDER}"),
            "headers": { "prefer": format!("wait={seconds}") },
            "requestContext": { "http": { "method": "GET" }, "timeEpoch": -elapsed_ms },
        }))
        .await
    }

    async fn respond(&self, event: &Value) -> Value {
        let event = to_raw_value(event).expect("JSON");
        let request = Request::read(&event).expect("an HTTP request").expect("a request");
        let response = self.api.answer(&request).await;
        serde_json::to_value(response).expect("a response is JSON")
    }

    /// The requests of one operation that the database received.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Value> {
        let requests = self.requests.lock().expect("the requests");
        let of_operation = requests.iter().filter(|(name, _)| name == operation);
        of_operation.map(|(_, body)| body.clone()).collect()
    }
}

/// Starts a database in which a query finds the pending order or nothing; returns its URL.
async fn database(requests: Requests) -> String {
    let app = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
        let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
        let operation = target.and_then(|it| it.rsplit('.').next()).unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(&body).expect("a request is JSON");
        let order_id = &body["ExpressionAttributeValues"][":orderId"]["S"];
        let items = if order_id == PENDING_ORDER { vec![pending_row()] } else { Vec::new() };
        requests.lock().expect("the requests").push((operation, body));
        async move {
            json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() }).to_string()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("the database serves") });
    url
}

/// The first row of the pending order in DynamoDB's JSON.
fn pending_row() -> Value {
    let id = OrderId::parse(PENDING_ORDER).expect("an id");
    let at = Timestamp::UNIX_EPOCH;
    let event = StoredEvent::new(EventType::OrderCreated, &id, "corr-1", at, "{}");
    json!({
        attribute::ORDER_ID: { "S": PENDING_ORDER },
        attribute::STAGE: { "S": "order-api" },
        attribute::EVENT: { "S": event.body },
        attribute::DIGEST: { "B": "AAAAAAAAAAAAAAAAAAAAAA==" },
        attribute::EXPIRES_AT: { "N": "4000000000" },
    })
}
