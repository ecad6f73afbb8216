//! An API Gateway HTTP API in front of the function that answers requests.
//!
//! Every path and method is one route, `$default`, as SAM makes it of an `HttpApi` event. The
//! function sees each request as an event of payload format 2.0.

mod answer;
mod event;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use event::Event;

use crate::invoke::{Answer, InvokeClient, InvokeError};
use crate::template::FunctionName;

/// What Lambda takes; API Gateway itself would take 10 MB.
const BODY_LIMIT: usize = 6 * 1024 * 1024;
/// Longest that API Gateway waits for a function.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long requests that are under way may hold up the end of the server.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A running HTTP API.
pub struct HttpApi {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// A port that is held for the HTTP API, so that others can be told of it before it serves.
pub struct HttpApiPort {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the HTTP API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpApiError {
    /// Somebody else listens there.
    #[error("port {0} is in use: choose another with --port")]
    PortInUse(u16),
    /// The port cannot be listened on.
    #[error("cannot listen on port {port} of 127.0.0.1: choose another with --port")]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// What every request needs.
struct Target {
    invoke: InvokeClient,
    function: FunctionName,
}

impl HttpApiPort {
    /// Takes a port of 127.0.0.1; 0 takes any that is free.
    ///
    /// # Errors
    /// [`HttpApiError`] when the port cannot be had.
    pub async fn take(port: u16) -> Result<Self, HttpApiError> {
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => HttpApiError::PortInUse(port),
            _ => HttpApiError::Port { port, source },
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Serves requests by invoking this function, behind whatever is put in `front` of it.
    #[must_use]
    pub fn serve(
        self,
        invoke: InvokeClient,
        function: FunctionName,
        front: impl FnOnce(Router) -> Router,
    ) -> HttpApi {
        let Self { listener, address } = self;
        let api = Router::new().fallback(handle).with_state(Arc::new(Target { invoke, function }));
        let router = front(api).into_make_service_with_connect_info::<SocketAddr>();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
        });
        let server = tokio::spawn(async move {
            let until = async {
                stopped.await.ok();
            };
            let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP API ended");
            }
        });
        HttpApi { address, shutdown, server }
    }
}

impl HttpApi {
    /// Where requests go.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the requests under way, and ends.
    pub async fn stop(mut self) {
        // A server that has ended by itself no longer listens for this.
        self.shutdown.send(()).ok();
        if tokio::time::timeout(STOP_WITHIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

async fn handle(
    State(target): State<Arc<Target>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event::of(&parts, &body, caller, jiff::Timestamp::now());
    match tokio::time::timeout(ANSWER_WITHIN, invoke(&target, event)).await {
        Ok(Ok(Answer::Returned(body))) => answer::response(&body).unwrap_or_else(|| {
            tracing::warn!(function = target.function.binary, "the answer is no HTTP response");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Ok(Ok(Answer::Failed(error))) => {
            tracing::warn!(
                function = target.function.binary,
                error = error.error_message,
                "a request failed"
            );
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Ok(Err(InvokeError::TooLarge { .. })) => {
            message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "a request was not answered");
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// Invokes the function. Where all its processes for waiting are taken, a request that waits is
/// answered at once: AWS would start a further one.
async fn invoke(target: &Target, event: Event) -> Result<Answer, InvokeError> {
    match target.invoke.invoke(&target.function, event.to_bytes()).await {
        Err(InvokeError::Trouble { status: 429, .. }) => {
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
    async fn a_port_in_use_is_named_with_the_way_out() {
        let taken = HttpApiPort::take(0).await.unwrap();
        let error = HttpApiPort::take(taken.address.port()).await.err().unwrap();
        let expected =
            format!("port {} is in use: choose another with --port", taken.address.port());
        assert_eq!(error.to_string(), expected);
    }
}
