//! Stands between the functions and their database: counts requests, and gets in the way of writes.
//!
//! A write that a fault is about is told by texts that its body holds, such as an order's id and the
//! name of a stage.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::sync::oneshot;

/// What happens to the next write that holds certain texts.
enum Fault {
    /// It is carried out, but its answer is held back until the sender is let go.
    HoldAnswer { reached: oneshot::Sender<()>, release: oneshot::Receiver<()> },
    /// It is carried out, but the answer is lost.
    LoseAnswer,
    /// It is refused as one too many.
    Throttle,
}

type Faults = Arc<Mutex<Vec<(Vec<String>, Fault)>>>;

/// A request that came by.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// What was asked, in JSON.
    pub body: String,
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// A proxy before a `DynamoDB` endpoint.
pub struct DatabaseProxy {
    /// Where the proxy listens.
    pub url: String,
    faults: Faults,
    requests: Requests,
}

/// A request whose answer is held back; let go when this is dropped.
pub struct HeldAnswer {
    reached: oneshot::Receiver<()>,
    _release: oneshot::Sender<()>,
}

impl HeldAnswer {
    /// Waits until the database has carried the request out.
    pub async fn carried_out(&mut self) {
        (&mut self.reached).await.expect("the request comes by");
    }
}

#[derive(Clone)]
struct Upstream {
    url: String,
    client: reqwest::Client,
    faults: Faults,
    requests: Requests,
}

impl DatabaseProxy {
    /// Starts a proxy before this endpoint.
    pub async fn start(endpoint: &str) -> Self {
        let (faults, requests) = (Faults::default(), Requests::default());
        let upstream = Upstream {
            url: endpoint.to_owned(),
            client: reqwest::Client::new(),
            faults: Arc::clone(&faults),
            requests: Arc::clone(&requests),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(pass_on).with_state(upstream);
        tokio::spawn(async move { axum::serve(listener, app).await.expect("the proxy serves") });
        Self { url, faults, requests }
    }

    /// Holds back the answer to the next write that holds all these texts.
    #[must_use]
    pub fn hold_answer(&self, texts: &[&str]) -> HeldAnswer {
        let (reached_sender, reached) = oneshot::channel();
        let (release_sender, release) = oneshot::channel();
        self.add(texts, Fault::HoldAnswer { reached: reached_sender, release });
        HeldAnswer { reached, _release: release_sender }
    }

    /// Loses the answer to the next write that holds all these texts.
    pub fn lose_answer(&self, texts: &[&str]) {
        self.add(texts, Fault::LoseAnswer);
    }

    /// Refuses the next write that holds all these texts as one too many.
    pub fn throttle(&self, texts: &[&str]) {
        self.add(texts, Fault::Throttle);
    }

    /// How many faults have not come to pass yet.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// The requests so far that hold this text.
    #[must_use]
    pub fn requests(&self, text: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.body.contains(text)).cloned().collect()
    }

    fn add(&self, texts: &[&str], fault: Fault) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.faults.lock().unwrap().push((texts, fault));
    }
}

async fn pass_on(State(upstream): State<Upstream>, headers: HeaderMap, body: Bytes) -> Response {
    let request = Request {
        operation: operation(&headers),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let fault = if matches!(request.operation.as_str(), "PutItem" | "TransactWriteItems") {
        let mut faults = upstream.faults.lock().unwrap();
        let hit = |texts: &[String]| texts.iter().all(|it| request.body.contains(it));
        let hit = faults.iter().position(|(texts, _)| hit(texts));
        hit.map(|index| faults.remove(index).1)
    } else {
        None
    };
    upstream.requests.lock().unwrap().push(request);
    if let Some(Fault::Throttle) = fault {
        let kind = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#;
        return (StatusCode::BAD_REQUEST, [("content-type", "application/x-amz-json-1.0")], kind)
            .into_response();
    }
    let answer = upstream.client.post(&upstream.url).headers(headers).body(body).send().await;
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    match fault {
        Some(Fault::LoseAnswer) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Fault::HoldAnswer { reached, release }) => {
            reached.send(()).ok();
            release.await.ok();
        }
        _ => {}
    }
    (status, headers, body).into_response()
}

/// The operation, from a header such as `DynamoDB_20120810.PutItem`.
fn operation(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned()
}
