//! A server of the Lambda Runtime API for one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::error::{Context, Result};

const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024 + 100;
/// The functions' own timeout in the template.
const TIMEOUT_MS: u128 = 60_000;
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:bench";

/// A request of the process.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    pub(crate) kind: CallKind,
}

#[derive(Debug)]
pub(crate) enum CallKind {
    /// A request for the next invocation.
    Next,
    Response(Bytes),
    /// An error at start or in an invocation.
    Error(Bytes),
}

/// The server; ends when dropped.
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    pub(crate) invocations: mpsc::UnboundedSender<Bytes>,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    server: JoinHandle<()>,
}

struct Session {
    invocations: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    calls: mpsc::UnboundedSender<Call>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Result<Self> {
        let failed = "cannot start the Runtime API on 127.0.0.1";
        let listener = TcpListener::bind("127.0.0.1:0").await.context(failed)?;
        let address = listener.local_addr().context(failed)?;
        let (invocations, assigned) = mpsc::unbounded_channel();
        let (sender, calls) = mpsc::unbounded_channel();
        let session = Session { invocations: Mutex::new(assigned), calls: sender };
        const RUNTIME: &str = "/2018-06-01/runtime";
        let app = Router::new()
            .route(&format!("{RUNTIME}/invocation/next"), get(next))
            .route(&format!("{RUNTIME}/invocation/{{id}}/response"), post(response))
            .route(&format!("{RUNTIME}/invocation/{{id}}/error"), post(invocation_error))
            .route(&format!("{RUNTIME}/init/error"), post(init_error))
            .with_state(Arc::new(session));
        // No Nagle delay: the process waits for every response.
        let listener = listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.ok();
        });
        Ok(Self { address, invocations, calls, server })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Session {
    /// Reports a request. Fails silently if the measurement has ended.
    fn report(&self, kind: CallKind) {
        self.calls.send(Call { at: Instant::now(), kind }).ok();
    }
}

async fn next(State(session): State<Arc<Session>>) -> Response {
    session.report(CallKind::Next);
    let Some(event) = session.invocations.lock().await.recv().await else {
        // The process is about to be killed.
        return std::future::pending().await;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", format!("bench-{}", now.as_nanos())),
        ("lambda-runtime-deadline-ms", (now.as_millis() + TIMEOUT_MS).to_string()),
        ("lambda-runtime-invoked-function-arn", ARN.to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(
    State(session): State<Arc<Session>>,
    Path(_): Path<String>,
    body: Body,
) -> Response {
    match to_bytes(body, PAYLOAD_LIMIT).await {
        Ok(body) => session.report(CallKind::Response(body)),
        Err(error) => session.report(CallKind::Error(error.to_string().into())),
    }
    accepted()
}

async fn invocation_error(
    State(session): State<Arc<Session>>,
    Path(_): Path<String>,
    body: Bytes,
) -> Response {
    session.report(CallKind::Error(body));
    accepted()
}

async fn init_error(State(session): State<Arc<Session>>, body: Bytes) -> Response {
    session.report(CallKind::Error(body));
    accepted()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [("content-type", "application/json")], r#"{"status":"OK"}"#)
        .into_response()
}
