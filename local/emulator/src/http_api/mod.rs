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

use crate::invoke::{InvokeClient, InvokeError, InvokeResponse};
use crate::template::FunctionName;

/// Lambda's limit; API Gateway's own is 10 MB.
const BODY_LIMIT: usize = 6 * 1024 * 1024;
/// API Gateway's limit for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Limit for the requests in flight when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A running HTTP API.
pub struct HttpApi {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// A reserved port of the HTTP API: its errors and its number are known before it serves.
pub struct HttpApiPort {
    listener: TcpListener,
    address: SocketAddr,
}

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
}

impl HttpApiPort {
    /// Listens on a port of 127.0.0.1; 0 for any free port.
    ///
    /// # Errors
    /// [`HttpApiError`] if the port is not available.
    pub async fn take(port: u16) -> Result<Self, HttpApiError> {
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => HttpApiError::PortInUse(port),
            _ => HttpApiError::Port { port, source },
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Serves requests by invoking this function, with the router wrapped by `front`.
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
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
        });
        let server = tokio::spawn(async move {
            let until = async {
                stopped.await.ok();
            };
            let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP API stopped");
            }
        });
        HttpApi { address, shutdown, server }
    }
}

impl HttpApi {
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the requests in flight, and stops.
    pub async fn stop(mut self) {
        // Fails only if the server has already stopped.
        self.shutdown.send(()).ok();
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await.is_err() {
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
    match tokio::time::timeout(INTEGRATION_TIMEOUT, invoke(&target, event)).await {
        Ok(Ok(InvokeResponse::Returned(body))) => response::response(&body).unwrap_or_else(|| {
            tracing::warn!(
                function = target.function.binary,
                "the function's response is not a valid HTTP response"
            );
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Ok(Ok(InvokeResponse::Failed(error))) => {
            tracing::warn!(
                function = target.function.binary,
                error = error.error_message,
                "the function failed"
            );
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Ok(Err(InvokeError::TooLarge { .. })) => {
            message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the request did not reach the function");
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// Invokes the function. A waiting request that is throttled is sent again without the wait: AWS
/// would start a further environment.
async fn invoke(target: &Target, event: Event) -> Result<InvokeResponse, InvokeError> {
    match target.invoke.invoke(&target.function, event.to_bytes()).await {
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
        let taken = HttpApiPort::take(0).await.unwrap();
        let error = HttpApiPort::take(taken.address.port()).await.err().unwrap();
        let expected =
            format!("port {} is in use: choose another with --port", taken.address.port());
        assert_eq!(error.to_string(), expected);
    }
}
