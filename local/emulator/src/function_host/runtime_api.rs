//! Lambda's Runtime API, version 2018-06-01: a process fetches events and posts responses.
//!
//! The path begins with the function, and the number and the secret of the process: each process has
//! its own URL, which no other program knows.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Mutex, mpsc, watch};

use super::invoke_api::Failure;
use super::{PAYLOAD_LIMIT, Pools};
use crate::loopback::body::{BodyError, receive};

/// The response to a request for the next invocation.
#[derive(Debug, Clone)]
pub(super) struct NextInvocation {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) deadline_ms: u64,
}

/// A request of a process; `Ready` is for the next invocation.
#[derive(Debug)]
pub(super) enum Message {
    Ready,
    Returned { request_id: String, body: Bytes },
    Failed { request_id: String, body: Bytes },
    InitFailed { body: Bytes },
}

/// The Runtime API's side of a process.
pub(super) struct Session {
    /// Part of the process's URL, so that no other program can take its invocations.
    pub(super) secret: String,
    pub(super) invocations: Mutex<mpsc::UnboundedReceiver<NextInvocation>>,
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) process_id: u32,
    pub(super) signals: mpsc::UnboundedSender<Signal>,
    pub(super) exit: watch::Receiver<Option<String>>,
}

impl Session {
    /// Kills the process with SIGKILL and waits until it has exited.
    pub(super) async fn kill(&self) {
        self.abandon();
        let mut exit = self.exit.clone();
        // Fails only if the watcher has ended, and the process with it.
        exit.wait_for(Option::is_some).await.ok();
    }

    /// Kills the process without waiting.
    pub(super) fn abandon(&self) {
        // Fails only if the process has already exited.
        self.signals.send(Signal::KILL).ok();
    }
}

/// The process that sends a request.
#[derive(Deserialize)]
struct Caller {
    function: String,
    process: u64,
    secret: String,
}

#[derive(Deserialize)]
struct RequestId {
    id: String,
}

pub(super) fn router() -> Router<Arc<Pools>> {
    const RUNTIME: &str = "/{function}/{process}/{secret}/2018-06-01/runtime";
    Router::new()
        .route(&format!("{RUNTIME}/invocation/next"), get(next))
        .route(&format!("{RUNTIME}/invocation/{{id}}/response"), post(response))
        .route(&format!("{RUNTIME}/invocation/{{id}}/error"), post(error))
        .route(&format!("{RUNTIME}/init/error"), post(init_error))
}

fn session(pools: &Pools, caller: &Caller) -> Option<Arc<Session>> {
    let session = pools.get(&caller.function)?.processes.session(caller.process)?;
    (session.secret == caller.secret).then_some(session)
}

/// Waits for an event for the process.
async fn next(State(pools): State<Arc<Pools>>, Path(caller): Path<Caller>) -> Response {
    let Some(session) = session(&pools, &caller) else { return gone() };
    session.messages.send(Message::Ready).ok();
    let invocation = session.invocations.lock().await.recv().await;
    match invocation {
        Some(invocation) => event(&caller.function, invocation),
        // The process is being killed; a response would only make it log an error first.
        None => std::future::pending().await,
    }
}

fn event(function: &str, invocation: NextInvocation) -> Response {
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{function}");
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let (epoch, random) = trace.split_at(8);
    let mut headers = HeaderMap::new();
    let mut header = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    header("content-type", "application/json".to_owned());
    header("lambda-runtime-aws-request-id", invocation.request_id);
    header("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string());
    header("lambda-runtime-invoked-function-arn", arn);
    header("lambda-runtime-trace-id", format!("Root=1-{epoch}-{random};Sampled=0"));
    (headers, invocation.event).into_response()
}

async fn response(
    State(pools): State<Arc<Pools>>,
    Path(caller): Path<Caller>,
    Path(RequestId { id: request_id }): Path<RequestId>,
    body: Body,
) -> Response {
    let Some(session) = session(&pools, &caller) else { return gone() };
    let body = match receive(body, PAYLOAD_LIMIT).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => {
            let Failure(body) = Failure::response_too_large(PAYLOAD_LIMIT);
            session.messages.send(Message::Failed { request_id, body }).ok();
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        Err(BodyError::Malformed) => return StatusCode::BAD_REQUEST.into_response(),
        Err(BodyError::Incomplete) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    forward(&session, Message::Returned { request_id, body })
}

async fn error(
    State(pools): State<Arc<Pools>>,
    Path(caller): Path<Caller>,
    Path(RequestId { id: request_id }): Path<RequestId>,
    body: Bytes,
) -> Response {
    let Some(session) = session(&pools, &caller) else { return gone() };
    forward(&session, Message::Failed { request_id, body })
}

async fn init_error(
    State(pools): State<Arc<Pools>>,
    Path(caller): Path<Caller>,
    body: Bytes,
) -> Response {
    let Some(session) = session(&pools, &caller) else { return gone() };
    forward(&session, Message::InitFailed { body })
}

fn forward(session: &Session, message: Message) -> Response {
    // The execution environment may have abandoned the process.
    session.messages.send(message).ok();
    (StatusCode::ACCEPTED, axum::Json(json!({ "status": "OK" }))).into_response()
}

/// Makes an abandoned process exit.
fn gone() -> Response {
    (StatusCode::GONE, "this process was abandoned").into_response()
}
