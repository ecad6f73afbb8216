//! A proxy before the functions' database: counts requests and injects faults into writes.
//!
//! A fault names the writes it is about by texts that one item or statement of the request holds,
//! such as an order's id and the name of a stage. A request may carry the writes of many orders.

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

/// A request that came by.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The request in JSON.
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
        self.add(Fault::once(texts, Injection::Hold(Hold { reached: reached_sender, release })));
        HeldAnswer { reached, _release: release_sender }
    }

    /// Answers 500 to the next write that holds all these texts, after carrying it out.
    pub fn lose_answer(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::LoseAnswer)));
    }

    /// Cuts the connection of the next write that holds all these texts, after carrying it out.
    pub fn cut_answer(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::CutAnswer)));
    }

    /// Throttles the next request with a write that holds all these texts.
    pub fn throttle(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::ThrottleRequest)));
    }

    /// Throttles the next write that holds all these texts, and not the others of its batch.
    ///
    /// A transaction is cancelled with `ThrottlingError` as that item's reason.
    pub fn throttle_item(&self, texts: &[&str]) {
        self.add(Fault::once(texts, Injection::Plain(Effect::ThrottleItem)));
    }

    /// As [`Self::throttle_item`] for every write that holds all these texts, until
    /// [`Self::clear_faults`].
    pub fn keep_throttling_item(&self, texts: &[&str]) {
        self.add(Fault::lasting(texts, Injection::Plain(Effect::ThrottleItem)));
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// How many faults have not come to pass yet, lasting ones included.
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
                let answer = match others {
                    None => Value::Null,
                    Some(others) => forwarded_json(&upstream, headers, others).await,
                };
                json(StatusCode::OK, &writes::with_throttled(answer, &places))
            }
            "TransactWriteItems" => refusal(&writes::cancelled(&request.body, &items)),
            _ => refusal(&writes::throttled()),
        },
        Injection::Plain(Effect::LoseAnswer) => {
            forward(&upstream, headers, body).await;
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Injection::Plain(Effect::CutAnswer) => {
            forward(&upstream, headers, body).await;
            (StatusCode::OK, cut_off()).into_response()
        }
        Injection::Hold(Hold { reached, release }) => {
            let answer = forward(&upstream, headers, body).await;
            reached.send(()).ok();
            release.await.ok();
            answer
        }
    }
}

async fn forward(upstream: &Upstream, headers: HeaderMap, body: Bytes) -> Response {
    let answer = upstream.client.post(&upstream.url).headers(headers).body(body).send().await;
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    (status, headers, body).into_response()
}

/// The answer to a request whose body differs from the one that came.
async fn forwarded_json(upstream: &Upstream, mut headers: HeaderMap, body: Value) -> Value {
    headers.remove(header::CONTENT_LENGTH);
    let request = upstream.client.post(&upstream.url).headers(headers).body(body.to_string());
    let answer = request.send().await.expect("the database answers");
    answer.json().await.expect("the answer is JSON")
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
