//! Lambda's Invoke API, version 2015-03-31, with Lambda's error payloads.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::concurrency::{InvocationSource, Throttled};
use super::{PAYLOAD_LIMIT, Pools};
use crate::loopback::body::{BodyError, receive};

const THROTTLED: &str = "Rate Exceeded.";

pub(super) fn router() -> Router<Arc<Pools>> {
    Router::new().route("/2015-03-31/functions/{function}/invocations", post(invoke))
}

async fn invoke(
    State(pools): State<Arc<Pools>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(pool) = pools.get(&function).map(Arc::clone) else {
        let message = not_found(&function, pools.keys());
        return error_response(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let event = match receive(body, PAYLOAD_LIMIT).await {
        Ok(event) => event,
        Err(BodyError::TooLarge) => {
            return error_response(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLargeException",
                "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
            );
        }
        Err(BodyError::Malformed) => return StatusCode::BAD_REQUEST.into_response(),
        Err(BodyError::Incomplete) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let event = if event.is_empty() { Bytes::from_static(b"{}") } else { event };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&event) {
        let message = format!("Could not parse request body into json: {error}");
        return error_response(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &message);
    }
    let source = source(&event);
    let request_id = uuid::Uuid::new_v4().to_string();
    if headers.get("x-amz-invocation-type").is_some_and(|kind| kind == "Event") {
        let id = request_id.clone();
        tokio::spawn(async move {
            let error = match pool.invoke(source, request_id, event).await {
                Ok(Ok(_)) => return,
                Ok(Err(Failure(error))) => String::from_utf8_lossy(&error).into_owned(),
                Err(Throttled) => THROTTLED.to_owned(),
            };
            tracing::warn!(function, %error, "an asynchronous invocation failed");
        });
        return (StatusCode::ACCEPTED, [("x-amzn-requestid", id)]).into_response();
    }
    let Ok(response) = pool.invoke(source, request_id.clone(), event).await else {
        return error_response(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequestsException",
            THROTTLED,
        );
    };
    let common = [
        ("content-type", "application/json"),
        ("x-amz-executed-version", "$LATEST"),
        ("x-amzn-requestid", request_id.as_str()),
    ];
    match response {
        Ok(body) => (common, body).into_response(),
        Err(Failure(body)) => {
            (common, [("x-amz-function-error", "Unhandled")], body).into_response()
        }
    }
}

/// Detects the source from the event: a request of the HTTP API has no other mark.
fn source(event: &[u8]) -> InvocationSource {
    #[derive(Deserialize)]
    struct Request {
        #[serde(rename = "requestContext")]
        _request_context: IgnoredAny,
        headers: Option<Value>,
    }
    let Ok(request) = serde_json::from_slice::<Request>(event) else {
        return InvocationSource::Other;
    };
    let prefer = request.headers.as_ref().and_then(|headers| headers.get("prefer")?.as_str());
    if prefer.is_some_and(is_wait) { InvocationSource::HttpWait } else { InvocationSource::Http }
}

/// `Prefer: wait=0` does not wait.
fn is_wait(prefer: &str) -> bool {
    prefer.split(',').any(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, seconds) = preference.split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("wait") && seconds.trim() != "0"
    })
}

/// Lambda's message, with the names that exist.
fn not_found<'n>(function: &str, names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    format!(
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:{function} (use one \
         of: {})",
        names.join(", ")
    )
}

fn error_response(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message });
    (status, [("x-amzn-errortype", kind)], Json(body)).into_response()
}

/// The error payload of a failed invocation, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(pub(super) Bytes);

impl Failure {
    fn new(error_type: &str, message: &str) -> Self {
        let body = json!({ "errorType": error_type, "errorMessage": message });
        Self(body.to_string().into())
    }

    pub(super) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let message = format!(
            "RequestId: {request_id} Error: Task timed out after {}.{:02} seconds",
            timeout.as_secs(),
            timeout.subsec_millis() / 10
        );
        Self::new("Sandbox.Timedout", &message)
    }

    /// The process exited before it responded.
    pub(super) fn exited(request_id: &str, status: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: Runtime exited with error: {status}");
        Self::new("Runtime.ExitError", &message)
    }

    pub(super) fn response_too_large(limit: usize) -> Self {
        let message =
            format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
        Self::new("Function.ResponseSizeTooLarge", &message)
    }

    /// The host stops while the invocation is queued.
    pub(super) fn stopping() -> Self {
        Self::new("Runtime.ExitError", "The function host is stopping")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_function_is_answered_with_the_names_that_exist() {
        let names = ["first", "second"].map(str::to_owned);
        assert_eq!(
            not_found("secund", names.iter()),
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:secund (use one \
             of: first, second)"
        );
    }

    #[test]
    fn a_timeout_names_its_limit_as_lambda_does() {
        let Failure(body) = Failure::timed_out("id", Duration::from_millis(2_500));
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("Task timed out after 2.50 seconds"), "{text}");
        assert!(text.contains("Sandbox.Timedout"), "{text}");
    }
}
