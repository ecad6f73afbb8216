//! An API Gateway HTTP API that invokes one function.
//!
//! Every path and method is one route, `$default`, as SAM creates for an `HttpApi` event. The
//! function receives each request as an event of payload format 2.0.

mod event;
mod response;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use event::Event;

use crate::backlog::Backlog;
use crate::function_host::PAYLOAD_LIMIT;
use crate::invoke::{InvokeClient, InvokeError, InvokeResponse};
use crate::loopback::LoopbackPort;
use crate::loopback::body::{BodyError, receive};
use crate::template::FunctionName;

/// API Gateway's limit for the request line and the values of the headers.
const HEAD_LIMIT: usize = 10_240;
/// Lambda's limit; API Gateway's own is 10 MB.
const BODY_LIMIT: usize = 6 * 1024 * 1024;
/// API Gateway's limit for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum HttpApiError {
    #[error("port {0} is in use: choose another with --port")]
    PortInUse(u16),
    #[error("cannot listen on port {port} of 127.0.0.1: choose another with --port")]
    Port {
        port: u16,
        #[source]
        source: std::io::Error,
    },
}

struct Target {
    invoke: InvokeClient,
    function: FunctionName,
    backlog: Option<Backlog>,
}

/// Reserves the port of the API; 0 for any free port.
///
/// # Errors
/// [`HttpApiError`] if the port is not available.
pub async fn bind(port: u16) -> Result<LoopbackPort, HttpApiError> {
    LoopbackPort::bind(port).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => HttpApiError::PortInUse(port),
        _ => HttpApiError::Port { port, source },
    })
}

/// The routes of the API: all requests invoke this function.
pub(crate) fn routes(
    invoke: InvokeClient,
    function: FunctionName,
    backlog: Option<Backlog>,
) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(Target { invoke, function, backlog }))
}

async fn handle(
    State(target): State<Arc<Target>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if event::head_bytes(&parts) > HEAD_LIMIT {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return message(status, "Request Header Fields Too Large");
    }
    let body = match received(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    // A request without a body cancels or reads: it adds little.
    let admitted = match &target.backlog {
        Some(backlog) if !body.is_empty() => match backlog.admit(body.len()) {
            Some(admitted) => Some(admitted),
            None => return no_room(),
        },
        _ => None,
    };
    let event = event::of(&parts, &body, caller, jiff::Timestamp::now());
    let invoked = tokio::time::timeout(INTEGRATION_TIMEOUT, invoke(&target, event)).await;
    drop(admitted);
    let function = &target.function.binary;
    match invoked {
        Ok(Ok(InvokeResponse::Returned(body))) => response::response(&body).unwrap_or_else(|| {
            tracing::warn!(function, "the function's response is not a valid HTTP response");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Ok(Ok(InvokeResponse::Failed(error))) => {
            tracing::warn!(function, error = error.error_message, "the function failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Ok(Err(InvokeError::TooLarge { .. })) => too_large(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the request did not reach the function");
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Err(_) => {
            let seconds = INTEGRATION_TIMEOUT.as_secs();
            tracing::warn!(
                function,
                "no response within {seconds} s (including the wait for a process)"
            );
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
    }
}

/// The body of a request, or the response to a request without a usable one.
async fn received(body: Body) -> Result<Bytes, Response> {
    receive(body, BODY_LIMIT).await.map_err(|error| match error {
        BodyError::TooLarge => too_large(),
        BodyError::Malformed => message(StatusCode::BAD_REQUEST, "Bad Request"),
        BodyError::Incomplete => message(StatusCode::REQUEST_TIMEOUT, "Request Time-out"),
    })
}

fn too_large() -> Response {
    message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
}

fn no_room() -> Response {
    let text = "The embedded broker has no room for more records that wait for a function: send the \
                request again later, resume what is paused, or use another broker (--kafka)";
    ([(RETRY_AFTER, "1")], message(StatusCode::SERVICE_UNAVAILABLE, text)).into_response()
}

/// Invokes the function. A waiting request that is throttled is sent again without the wait: AWS
/// would start a further environment.
async fn invoke(target: &Target, event: Event) -> Result<InvokeResponse, InvokeError> {
    let bytes = event.to_bytes();
    if bytes.len() > PAYLOAD_LIMIT {
        return Err(InvokeError::TooLarge { function: target.function.binary.clone() });
    }
    match target.invoke.invoke(&target.function, bytes).await {
        Err(InvokeError::Service { status: 429, .. }) => {
            target.invoke.invoke(&target.function, event.without_wait().to_bytes()).await
        }
        invoked => invoked,
    }
}

fn message(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_of_a_port_in_use_names_the_option() {
        let taken = bind(0).await.unwrap();
        let error = bind(taken.address().port()).await.err().unwrap();
        let expected =
            format!("port {} is in use: choose another with --port", taken.address().port());
        assert_eq!(error.to_string(), expected);
    }
}
