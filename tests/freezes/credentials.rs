//! AWS credentials that live for seconds: the endpoint that issues them, and a database that refuses
//! what has expired.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

/// The life of credentials.
const LIFE: Duration = Duration::from_secs(15);

/// Access keys begin with this; the number of the issue follows.
const ACCESS_KEY: &str = "AKIAISSUE";

pub(crate) struct ShortLived {
    pub(crate) database_url: String,
    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub(crate) credentials_url: String,
    issuer: Arc<Issuer>,
}

struct Issuer {
    database: String,
    client: reqwest::Client,
    /// The expiry of each issue.
    issued: Mutex<Vec<Timestamp>>,
    refused: AtomicUsize,
}

impl ShortLived {
    /// Serves credentials, and forwards requests that are signed with valid ones to a database.
    pub(crate) async fn start(database: &str) -> Self {
        let issuer = Arc::new(Issuer {
            database: database.to_owned(),
            client: workflow_tests::http_client(),
            issued: Mutex::default(),
            refused: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let database_url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new()
            .route("/credentials", get(issue))
            .fallback(forward)
            .with_state(Arc::clone(&issuer));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("the stub serves") });
        let credentials_url = format!("{database_url}/credentials");
        Self { database_url, credentials_url, issuer }
    }

    /// Waits until all credentials so far have expired.
    pub(crate) async fn expired(&self) {
        let newest = self.issuer.issued.lock().unwrap().last().copied();
        let newest = newest.expect("credentials were issued");
        while Timestamp::now() <= newest {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The number of issues.
    pub(crate) fn issued(&self) -> usize {
        self.issuer.issued.lock().unwrap().len()
    }

    /// The requests that were signed with expired credentials.
    pub(crate) fn refused(&self) -> usize {
        self.issuer.refused.load(Ordering::Relaxed)
    }
}

async fn issue(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let mut issued = issuer.issued.lock().unwrap();
    let expiry = Timestamp::now() + LIFE;
    issued.push(expiry);
    Json(json!({
        "AccessKeyId": format!("{ACCESS_KEY}{}", issued.len()), "SecretAccessKey": "secret",
        "Token": "token", "Expiration": format!("{expiry:.3}"),
    }))
}

async fn forward(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: Bytes) -> Response {
    if !issuer.is_valid(&headers) {
        issuer.refused.fetch_add(1, Ordering::Relaxed);
        let error = json!({
            "__type": "com.amazon.coral.service#ExpiredTokenException",
            "message": "The security token included in the request is expired",
        });
        let content_type = (header::CONTENT_TYPE, "application/x-amz-json-1.0");
        return (StatusCode::BAD_REQUEST, [content_type], error.to_string()).into_response();
    }
    let sent = issuer.client.post(&issuer.database).headers(headers).body(body).send().await;
    let response = sent.expect("the database responds");
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, response.bytes().await.expect("a body")).into_response()
}

impl Issuer {
    fn is_valid(&self, headers: &HeaderMap) -> bool {
        let signature = headers[header::AUTHORIZATION].to_str().expect("a signature");
        let (_, key) = signature.split_once(ACCESS_KEY).expect("a key of this issuer");
        let number: String = key.chars().take_while(char::is_ascii_digit).collect();
        let number: usize = number.parse().expect("a number");
        Timestamp::now() <= self.issued.lock().unwrap()[number - 1]
    }
}
