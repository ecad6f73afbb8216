//! Runs functions as Lambda does.
//!
//! The processes are the same binaries as in AWS. They fetch events from the Runtime API served
//! here; callers use the Invoke API on the same port. A process handles one event at a time, and is
//! frozen between events.
//!
//! The way of an invocation: `invoke_api`, `pool`, `concurrency`, `execution_environment`,
//! `process`, `runtime_api`, `completion`, `report`.

mod child;
mod command;
mod completion;
mod concurrency;
mod execution_environment;
mod invoke_api;
mod log;
mod memory;
mod pool;
mod process;
mod report;
mod running;
mod runtime_api;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use log::FunctionLog;
pub use log::Outcomes;
use pool::Pool;
pub use running::kill_all;

use crate::loopback::{LoopbackPort, LoopbackServer, Origins};

/// Maximum bytes of an event and of a response: Lambda's 6 MB and its margin for the envelope.
pub const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024 + 100;

/// A function to host. Without `Debug`, because its environment may have secrets.
#[derive(Clone)]
pub struct HostedFunction {
    /// Its name in the Invoke API.
    pub name: String,
    pub executable: PathBuf,
    /// Limit for one invocation.
    pub timeout: Duration,
    /// Limit for the resident memory of a process during an invocation. Enforced only where
    /// `/proc` has it (not on macOS).
    pub memory_mb: u64,
    /// Environment variables in addition to those that Lambda sets.
    pub environment: Vec<(String, String)>,
}

/// Hosts functions as processes and serves the Runtime API and the Invoke API.
pub struct FunctionHost {
    pools: Arc<Pools>,
    outcomes: Outcomes,
    log_dir: PathBuf,
    server: LoopbackServer,
}

/// By function name.
type Pools = BTreeMap<String, Arc<Pool>>;

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("no port of 127.0.0.1 is free for the Invoke API")]
    Port(#[source] std::io::Error),
    #[error("cannot write the functions' logs to {path}: make it writable, or name another folder", path = path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the function {function}: {message}")]
    Init {
        function: String,
        /// Its error, or how it exited and its last warnings.
        message: String,
    },
}

impl FunctionHost {
    /// Starts one process of each function and waits until all are ready for events.
    ///
    /// Each function runs up to `processes` invocations at a time, four times as many requests of
    /// the HTTP API, and again four times as many requests that wait (`Prefer: wait`). Further
    /// processes start on demand. The output of a function goes to `NAME.log` in `log_dir`.
    ///
    /// # Errors
    /// [`HostError::Init`] has the last output of a function that exited while it started.
    pub async fn start(
        functions: Vec<HostedFunction>,
        processes: usize,
        log_dir: &Path,
    ) -> Result<Self, HostError> {
        let port = LoopbackPort::bind(0).await.map_err(HostError::Port)?;
        let unwritable = |path: &Path, source| HostError::Log { path: path.to_owned(), source };
        std::fs::create_dir_all(log_dir).map_err(|error| unwritable(log_dir, error))?;
        let outcomes = Outcomes::default();
        let mut pools = Pools::new();
        for function in functions {
            let path = log_dir.join(format!("{}.log", function.name));
            let log = FunctionLog::create(&function.name, &path, outcomes.clone())
                .map_err(|error| unwritable(&path, error))?;
            let name = function.name.clone();
            pools
                .insert(name, Arc::new(Pool::new(function, processes.max(1), port.address(), log)));
        }
        let pools = Arc::new(pools);
        let routes = Router::new()
            .merge(invoke_api::router())
            .merge(runtime_api::router())
            .with_state(Arc::clone(&pools));
        let server = port.serve(routes, Origins::None);
        let host = Self { pools, outcomes, log_dir: log_dir.to_owned(), server };
        host.warm().await?;
        Ok(host)
    }

    async fn warm(&self) -> Result<(), HostError> {
        let starts: Vec<_> = self.pools.iter().map(|(name, pool)| (name, pool.warm())).collect();
        for (name, start) in starts {
            // The sender is dropped only while the host stops.
            if let Ok(Err(message)) = start.await {
                self.stop().await;
                return Err(HostError::Init { function: name.clone(), message });
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The outcomes that the functions have logged.
    #[must_use]
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// The folder with `NAME.log` of each function.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    #[must_use]
    pub fn process_ids(&self, function: &str) -> Vec<u32> {
        self.pools.get(function).map(|pool| pool.processes.ids()).unwrap_or_default()
    }

    /// Kills every process of a function with SIGKILL, and returns how many there were.
    ///
    /// Invocations in flight fail; the next invocation starts a new process.
    pub async fn kill(&self, function: &str) -> usize {
        match self.pools.get(function) {
            Some(pool) => pool.processes.kill().await,
            None => 0,
        }
    }

    /// Ends all processes.
    pub async fn stop(&self) {
        for pool in self.pools.values() {
            pool.close().await;
        }
    }
}

impl Drop for FunctionHost {
    fn drop(&mut self) {
        for pool in self.pools.values() {
            pool.abandon();
        }
    }
}
