//! What runs the functions as Lambda does?
//!
//! The processes are the unchanged binaries: they fetch events from the Runtime API served here.
//! Callers use the Invoke API on the same port. A process handles one event at a time.

mod failure;
mod invoke_api;
mod lanes;
mod log;
mod pool;
mod process;
mod processes;
mod queue;
mod runtime_api;
mod slot;
mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use log::FunctionLog;
pub use log::Outcomes;
use pool::Pool;

/// Most bytes of an event and of an answer: the 6 MB of Lambda and its margin for the envelope.
pub const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024 + 100;

/// A function to host.
#[derive(Debug, Clone)]
pub struct HostedFunction {
    /// The name it is invoked by.
    pub name: String,
    /// The executable.
    pub executable: PathBuf,
    /// Longest that one invocation may take.
    pub timeout: Duration,
    /// Memory in megabytes that the process is told it has.
    pub memory_mb: u64,
    /// Environment variables beside those that Lambda sets itself.
    pub environment: Vec<(String, String)>,
}

/// Hosts functions as processes and serves the Runtime API and the Invoke API.
pub struct FunctionHost {
    address: SocketAddr,
    pools: Arc<Pools>,
    outcomes: Outcomes,
    server: JoinHandle<()>,
}

/// The pool of each function, by its name.
type Pools = BTreeMap<String, Arc<Pool>>;

/// Why the functions cannot be hosted.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No port is free.
    #[error("no port of 127.0.0.1 is free for the Invoke API")]
    Port(#[source] std::io::Error),
    /// The logs cannot be written.
    #[error("cannot write the functions' logs to {path}: make it writable, or name another folder", path = path.display())]
    Log {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A function ended before it was ready.
    #[error("the function {function} does not start: {message}")]
    Init {
        /// The function.
        function: String,
        /// Its error, or its last words.
        message: String,
    },
}

impl FunctionHost {
    /// Starts one process of each function and waits until all are ready for events.
    ///
    /// Up to `processes` invocations of each function run at a time, four times as many requests of
    /// the HTTP API, and as many more that wait for an order's end; processes start when they are
    /// needed.
    /// What the functions print goes to `NAME.log` in `log_dir`.
    ///
    /// # Errors
    /// [`HostError::Init`] carries what a function said that ended while it started.
    pub async fn start(
        functions: Vec<HostedFunction>,
        processes: usize,
        log_dir: &Path,
    ) -> Result<Self, HostError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(HostError::Port)?;
        let address = listener.local_addr().map_err(HostError::Port)?;
        let unwritable = |path: &Path, source| HostError::Log { path: path.to_owned(), source };
        std::fs::create_dir_all(log_dir).map_err(|error| unwritable(log_dir, error))?;
        let outcomes = Outcomes::default();
        let mut pools = Pools::new();
        for function in functions {
            let path = log_dir.join(format!("{}.log", function.name));
            let log = FunctionLog::create(&function.name, &path, outcomes.clone())
                .map_err(|error| unwritable(&path, error))?;
            let name = function.name.clone();
            pools.insert(name, Arc::new(Pool::new(function, processes.max(1), address, log)));
        }
        let pools = Arc::new(pools);
        let server = tokio::spawn(serve(listener, Arc::clone(&pools)));
        let host = Self { address, pools, outcomes, server };
        host.warm().await?;
        Ok(host)
    }

    async fn warm(&self) -> Result<(), HostError> {
        let starts: Vec<_> = self.pools.iter().map(|(name, pool)| (name, pool.warm())).collect();
        for (name, start) in starts {
            // A dropped answer means that the host is being stopped.
            if let Ok(Err(message)) = start.await {
                self.stop().await;
                return Err(HostError::Init { function: name.clone(), message });
            }
        }
        Ok(())
    }

    /// The URL of the Invoke API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the functions have said about the records they were given.
    #[must_use]
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// The ids of a function's running processes.
    #[must_use]
    pub fn process_ids(&self, function: &str) -> Vec<u32> {
        self.pools.get(function).map(|pool| pool.processes.ids()).unwrap_or_default()
    }

    /// Kills every process of a function with SIGKILL, and returns how many it were.
    ///
    /// What they were working on fails; the next invocation starts a fresh process.
    pub async fn kill(&self, function: &str) -> usize {
        match self.pools.get(function) {
            Some(pool) => pool.processes.kill().await,
            None => 0,
        }
    }

    /// Ends all processes and the server.
    pub async fn stop(&self) {
        for pool in self.pools.values() {
            pool.close().await;
        }
        self.server.abort();
    }
}

impl Drop for FunctionHost {
    fn drop(&mut self) {
        self.server.abort();
        for pool in self.pools.values() {
            pool.abandon();
        }
    }
}

async fn serve(listener: TcpListener, pools: Arc<Pools>) {
    let router =
        Router::new().merge(invoke_api::router()).merge(runtime_api::router()).with_state(pools);
    // Events and answers are small and each is waited for: never held back to fill a packet.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the server of the functions ended");
    }
}
