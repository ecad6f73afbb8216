//! What does a function process ask of Lambda? Its next event, and to take its answer.
//!
//! Lambda's Runtime API, version 2018-06-01. The function and the number of the process lead the
//! path, so that each process is known by the address that it was given.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::failure::Failure;
use super::process::{Assignment, Message, Session};
use super::{PAYLOAD_LIMIT, Pools};

/// The function and the number of the process, from the path.
type Caller = (String, u64);
/// The same and the id of a request.
type Request = (String, u64, String);

pub(super) fn router() -> Router<Arc<Pools>> {
    const RUNTIME: &str = "/{function}/{process}/2018-06-01/runtime";
    Router::new()
        .route(&format!("{RUNTIME}/invocation/next"), get(next))
        .route(&format!("{RUNTIME}/invocation/{{id}}/response"), post(response))
        .route(&format!("{RUNTIME}/invocation/{{id}}/error"), post(error))
        .route(&format!("{RUNTIME}/init/error"), post(init_error))
}

fn session(pools: &Pools, function: &str, number: u64) -> Option<Arc<Session>> {
    pools.get(function)?.processes.session(number)
}

/// Holds the process until there is an event for it.
async fn next(State(pools): State<Arc<Pools>>, Path((function, number)): Path<Caller>) -> Response {
    let Some(session) = session(&pools, &function, number) else { return gone() };
    session.messages.send(Message::Ready).ok();
    let assignment = session.assignments.lock().await.recv().await;
    match assignment {
        Some(assignment) => event(&function, assignment),
        // The process is being killed; any answer would only make it cry out first.
        None => std::future::pending().await,
    }
}

fn event(function: &str, assignment: Assignment) -> Response {
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
    header("lambda-runtime-aws-request-id", assignment.request_id);
    header("lambda-runtime-deadline-ms", assignment.deadline_ms.to_string());
    header("lambda-runtime-invoked-function-arn", arn);
    header("lambda-runtime-trace-id", format!("Root=1-{epoch}-{random};Sampled=0"));
    (headers, assignment.event).into_response()
}

async fn response(
    State(pools): State<Arc<Pools>>,
    Path((function, number, request_id)): Path<Request>,
    body: Body,
) -> Response {
    let Some(session) = session(&pools, &function, number) else { return gone() };
    let Ok(body) = to_bytes(body, PAYLOAD_LIMIT).await else {
        let Failure(body) = Failure::answer_too_large(PAYLOAD_LIMIT);
        session.messages.send(Message::Failed { request_id, body }).ok();
        return (StatusCode::PAYLOAD_TOO_LARGE, "").into_response();
    };
    tell(&session, Message::Returned { request_id, body })
}

async fn error(
    State(pools): State<Arc<Pools>>,
    Path((function, number, request_id)): Path<Request>,
    body: Bytes,
) -> Response {
    let Some(session) = session(&pools, &function, number) else { return gone() };
    tell(&session, Message::Failed { request_id, body })
}

async fn init_error(
    State(pools): State<Arc<Pools>>,
    Path((function, number)): Path<Caller>,
    body: Bytes,
) -> Response {
    let Some(session) = session(&pools, &function, number) else { return gone() };
    tell(&session, Message::InitFailed { body })
}

fn tell(session: &Session, message: Message) -> Response {
    // The slot may have given the process up, and then nobody minds.
    session.messages.send(message).ok();
    (StatusCode::ACCEPTED, axum::Json(json!({ "status": "OK" }))).into_response()
}

/// A process that was given up is told so, and ends.
fn gone() -> Response {
    (StatusCode::GONE, "this process was given up").into_response()
}
