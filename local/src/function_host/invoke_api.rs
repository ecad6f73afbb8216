//! How is a function invoked from outside? As Lambda's Invoke API does it, version 2015-03-31.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::failure::Failure;
use super::lanes::Lane;
use super::{PAYLOAD_LIMIT, Pools};

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
        let message = format!(
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:{function}"
        );
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let Ok(event) = to_bytes(body, PAYLOAD_LIMIT).await else {
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
        );
    };
    let event = if event.is_empty() { Bytes::from_static(b"{}") } else { event };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&event) {
        let message = format!("Could not parse request body into json: {error}");
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &message);
    }
    let lane = lane(&event);
    let request_id = uuid::Uuid::new_v4().to_string();
    if headers.get("x-amz-invocation-type").is_some_and(|kind| kind == "Event") {
        let id = request_id.clone();
        tokio::spawn(async move {
            if let Err(Failure(error)) = pool.invoke(lane, request_id, event).await {
                let error = String::from_utf8_lossy(&error);
                tracing::warn!(function, %error, "an invocation nobody waits for failed");
            }
        });
        return (StatusCode::ACCEPTED, [("x-amzn-requestid", id)]).into_response();
    }
    let answer = pool.invoke(lane, request_id.clone(), event).await;
    let common = [
        ("content-type", "application/json"),
        ("x-amz-executed-version", "$LATEST"),
        ("x-amzn-requestid", request_id.as_str()),
    ];
    match answer {
        Ok(body) => (common, body).into_response(),
        Err(Failure(body)) => {
            (common, [("x-amz-function-error", "Unhandled")], body).into_response()
        }
    }
}

/// Nothing but its event tells a request of the HTTP API from another invocation.
fn lane(event: &[u8]) -> Lane {
    #[derive(Deserialize)]
    struct Request {
        #[serde(rename = "requestContext")]
        _request_context: IgnoredAny,
    }
    match serde_json::from_slice::<Request>(event) {
        Ok(_) => Lane::Requests,
        Err(_) => Lane::Others,
    }
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message });
    (status, [("x-amzn-errortype", kind)], Json(body)).into_response()
}
