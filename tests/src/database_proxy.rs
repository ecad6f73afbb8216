//! A proxy in front of the functions' database: records requests and injects faults into writes.
//!
//! A fault applies to the writes whose item or statement contains all its texts, such as an order's
//! id and a stage's name. A request may carry the writes of many orders.

mod faults;
#[cfg(test)]
mod tests;
mod writes;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::sync::oneshot;

use self::faults::{Effect, Fault, Hold, Injection};
use crate::lossy_proxy::cut_off;

type Faults = Arc<Mutex<Vec<Fault>>>;

#[derive(Debug, Clone)]
pub struct Request {
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The request in JSON.
    pub body: String,
}

type Requests = Arc<Mutex<Vec<Request>>>;

pub struct DatabaseProxy {
    pub url: String,
    faults: Faults,
    requests: Requests,
}

/// A withheld response; released when dropped.
pub struct HeldResponse {
    reached: oneshot::Receiver<()>,
    _release: oneshot::Sender<()>,
}

impl HeldResponse {
    /// Waits until the database has executed the request.
    pub async fn executed(&mut self) {
        (&mut self.reached).await.expect("the write reaches the proxy");
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

    /// Withholds the response to the next write that contains all these texts.
    #[must_use]
    pub fn hold_response(&self, texts: &[&str]) -> HeldResponse {
        let (reached_sender, reached) = oneshot::channel();
        let (release_sender, release) = oneshot::channel();
        self.add(Fault::once(texts, Injection::Hold(Hold { reached: reached_sender, release })));
        HeldResponse { reached, _release: release_sender }
    }

    /// Executes the next write that contains all these texts, but responds with 500.
    pub fn lose_response(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::LoseResponse)));
    }

    /// Executes the next write that contains all these texts, then cuts the connection.
    pub fn cut_response(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::CutResponse)));
    }

    /// Throttles the next request with a write that contains all these texts.
    pub fn throttle(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::ThrottleRequest)));
    }

    /// Throttles the next write that contains all these texts, but not the others of its batch.
    ///
    /// A transaction is cancelled with `ThrottlingError` as that item's reason.
    pub fn throttle_item(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::ThrottleItem)));
    }

    /// Like [`Self::throttle_item`], for all such writes until [`Self::clear_faults`].
    pub fn keep_throttling_item(&self, texts: &[&str]) {
        self.add(Fault::lasting(texts, Injection::Plain(Effect::ThrottleItem)));
    }

    pub fn clear_faults(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The pending faults, lasting ones included.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// The requests so far whose body contains this text.
    #[must_use]
    pub fn requests(&self, text: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.body.contains(text)).cloned().collect()
    }

    fn add(&self, fault: Fault) {
        self.faults.lock().unwrap().push(fault);
    }
}

async fn pass_on(State(upstream): State<Upstream>, headers: HeaderMap, body: Bytes) -> Response {
    let request = Request {
        operation: operation(&headers),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let taken = faults::take(&mut upstream.faults.lock().unwrap(), &writes::of(&request));
    upstream.requests.lock().unwrap().push(request.clone());
    let Some((injection, items)) = taken else { return forward(&upstream, headers, body).await };
    match injection {
        Injection::Plain(Effect::ThrottleRequest) => refusal(&writes::throttled()),
        Injection::Plain(Effect::ThrottleItem) => match request.operation.as_str() {
            "BatchExecuteStatement" => {
                let (others, places) = writes::without(&request.body, &items);
                let response = match others {
                    None => Value::Null,
                    Some(others) => forwarded_json(&upstream, headers, others).await,
                };
                json(StatusCode::OK, &writes::with_throttled(response, &places))
            }
            "TransactWriteItems" => refusal(&writes::cancelled(&request.body, &items)),
            _ => refusal(&writes::throttled()),
        },
        Injection::Plain(Effect::LoseResponse) => {
            forward(&upstream, headers, body).await;
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Injection::Plain(Effect::CutResponse) => {
            forward(&upstream, headers, body).await;
            (StatusCode::OK, cut_off()).into_response()
        }
        Injection::Hold(Hold { reached, release }) => {
            let response = forward(&upstream, headers, body).await;
            reached.send(()).ok();
            release.await.ok();
            response
        }
    }
}

async fn forward(upstream: &Upstream, headers: HeaderMap, body: Bytes) -> Response {
    let response = upstream.client.post(&upstream.url).headers(headers).body(body).send().await;
    let Ok(response) = response else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (response.status(), response.headers().clone());
    let Ok(body) = response.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    (status, headers, body).into_response()
}

/// Forwards a changed body; returns the body of the response.
async fn forwarded_json(upstream: &Upstream, mut headers: HeaderMap, body: Value) -> Value {
    headers.remove(header::CONTENT_LENGTH);
    let request = upstream.client.post(&upstream.url).headers(headers).body(body.to_string());
    let response = request.send().await.expect("the database responds");
    response.json().await.expect("the response is JSON")
}

fn refusal(body: &Value) -> Response {
    json(StatusCode::BAD_REQUEST, body)
}

fn json(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/x-amz-json-1.0")], body.to_string()).into_response()
}

/// The operation, from a header such as `DynamoDB_20120810.PutItem`.
fn operation(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned()
}
