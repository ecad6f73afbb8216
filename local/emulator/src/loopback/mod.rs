//! HTTP servers on ports of 127.0.0.1: every listener of the emulator is one of these.
//!
//! Any page in a browser can send requests to 127.0.0.1, and any program on the machine can be slow
//! or send too much: `guard` refuses the one, [`body`] and the limits here bound the other.

pub mod body;
mod guard;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

pub use guard::{Origins, problem};

/// Limit for the head of a request, and for the pause before it on an open connection. Longer than
/// clients keep idle connections, which would otherwise send on a connection that is being closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(180);
/// Bytes of the head of a request. API Gateway's limit for all headers is 10,240.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Open connections of one server.
const MAX_CONNECTIONS: usize = 1_024;
/// Pause after a connection that could not be accepted, for want of open files.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Limit for the requests in flight when a server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A reserved port: its errors and its number are known before it serves.
pub struct LoopbackPort {
    listener: TcpListener,
    address: SocketAddr,
}

/// A running server. Dropping it closes the port and every connection.
pub struct LoopbackServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl LoopbackPort {
    /// Listens on a port of 127.0.0.1; 0 for any free port.
    ///
    /// # Errors
    /// The system's error if the port is not available.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these routes to programs, and to pages of these origins.
    #[must_use]
    pub fn serve(self, routes: Router, origins: Origins) -> LoopbackServer {
        let Self { listener, address } = self;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, guard::guarded(routes, origins), stopped));
        LoopbackServer { address, stop: Some(stop), task }
    }
}

impl LoopbackServer {
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops, after the requests in flight or 2 seconds.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only if the server has already stopped.
            stop.send(()).ok();
        }
        (&mut self.task).await.ok();
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, routes: Router, mut stopped: oneshot::Receiver<()>) {
    let (http, graceful) = (http1(), GracefulShutdown::new());
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let (stream, caller, permit) = tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &room) => accepted,
        };
        // Messages are small, and the other side waits for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let routes = routes.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(caller));
            routes.clone().oneshot(request.map(Body::new))
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    // Dropping the set closes what is still open.
    timeout(STOP_TIMEOUT, graceful.shutdown()).await.ok();
}

/// The next connection, as soon as there is room for it.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // Fails only if the semaphore is closed, which it never is.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, caller)) => return (stream, caller, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// HTTP/1.1 only: HTTP/2 would be a second way past the limits.
fn http1() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    http
}
