//! A database whose errors quote the request: all that a write would have stored.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// The writes that fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Failing {
    #[default]
    None,
    All,
    /// All but those of the intake.
    OfStages,
}

/// A server in front of the database.
#[derive(Clone, Default)]
pub(crate) struct QuotingDatabase {
    upstream: Arc<OnceLock<String>>,
    failing: Arc<Mutex<Failing>>,
    errors: Arc<AtomicUsize>,
}

impl QuotingDatabase {
    /// Starts the server; gives its URL. Until the database is known it responds with errors.
    pub(crate) async fn start(&self) -> String {
        let app = Router::new().fallback(respond).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    pub(crate) fn is_in_front_of(&self, database: &str) {
        self.upstream.set(database.to_owned()).expect("one database");
    }

    /// From now on these writes fail.
    pub(crate) fn fail(&self, writes: Failing) {
        *self.failing.lock().unwrap() = writes;
    }

    fn fails(&self, operation: &str, body: &str) -> bool {
        let failing = *self.failing.lock().unwrap();
        let is_write = ["PutItem", "BatchExecuteStatement", "TransactWriteItems"]
            .iter()
            .any(|write| operation.ends_with(write));
        let is_of_intake = body.contains("order-api");
        is_write && (failing == Failing::All || failing == Failing::OfStages && !is_of_intake)
    }

    /// The number of errors.
    pub(crate) fn errors(&self) -> usize {
        self.errors.load(Ordering::Relaxed)
    }
}

async fn respond(State(it): State<QuotingDatabase>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    let operation = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let fails = it.fails(operation, &text);
    let Some(upstream) = it.upstream.get().filter(|_| !fails) else {
        it.errors.fetch_add(1, Ordering::Relaxed);
        let credentials = headers.get("authorization").map(|it| format!("{it:?}"));
        let error = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ValidationException",
            "message": format!("{credentials:?} cannot write {text}"),
            "CancellationReasons": [{ "Code": "ValidationError", "Message": text }],
        });
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    };
    let request = workflow_tests::http_client().post(upstream).headers(headers).body(body);
    let Ok(response) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap()).into_response()
}
