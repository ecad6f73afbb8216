//! The execution environments of one function, and their processes.
//!
//! If no environment is idle, a further one starts, up to the concurrency limit; beyond it
//! invocations are queued. An event is never sent to a second process: if its process exits, the
//! invocation fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::HostedFunction;
use super::concurrency::{Concurrency, Invocation, InvocationSource, Throttled};
use super::execution_environment::ExecutionEnvironment;
use super::invoke_api::Failure;
use super::log::FunctionLog;
use super::process::Process;
use super::runtime_api::Session;

pub(super) struct Pool {
    pub(super) processes: Arc<Processes>,
    concurrency: Arc<Concurrency>,
    /// `None` once the pool is closed.
    environments: Mutex<Option<JoinSet<()>>>,
}

impl Pool {
    pub(super) fn new(
        function: HostedFunction,
        limit: usize,
        runtime_api: SocketAddr,
        log: FunctionLog,
    ) -> Self {
        Self {
            processes: Arc::new(Processes::new(function, runtime_api, log)),
            concurrency: Arc::new(Concurrency::new(limit)),
            environments: Mutex::new(Some(JoinSet::new())),
        }
    }

    fn environments(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invokes the function and waits for its response.
    ///
    /// # Errors
    /// [`Throttled`] if the function was not invoked.
    pub(super) async fn invoke(
        &self,
        source: InvocationSource,
        request_id: String,
        event: Bytes,
    ) -> Result<Result<Bytes, Failure>, Throttled> {
        let (response, responded) = oneshot::channel();
        let invocation = Invocation { source, request_id, event, response };
        if let Some(invocation) = self.concurrency.acquire(invocation)? {
            self.open(|environment| environment.run(invocation));
        }
        Ok(responded.await.unwrap_or_else(|_| Err(Failure::stopping())))
    }

    /// Starts a process before the first event; the receiver gets the result.
    pub(super) fn warm(&self) -> oneshot::Receiver<Result<(), String>> {
        let (ready, started) = oneshot::channel();
        self.open(|environment| environment.warm(ready));
        started
    }

    /// Adds an environment, unless the pool is closed.
    fn open<W>(&self, work: impl FnOnce(ExecutionEnvironment) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        if let Some(environments) = self.environments().as_mut() {
            let environment = ExecutionEnvironment::new(
                Arc::clone(&self.processes),
                Arc::clone(&self.concurrency),
            );
            environments.spawn(work(environment));
        }
    }

    /// Ends all processes; queued invocations fail.
    pub(super) async fn close(&self) {
        self.stop_environments();
        self.processes.end_all().await;
    }

    /// As [`Self::close`], without waiting for the processes to exit.
    pub(super) fn abandon(&self) {
        self.stop_environments();
        self.processes.abandon();
    }

    fn stop_environments(&self) {
        self.concurrency.close();
        // Dropping the set aborts its tasks.
        drop(self.environments().take());
    }
}

/// Sessions by process number.
pub(super) struct Processes {
    pub(super) function: HostedFunction,
    pub(super) log: Arc<FunctionLog>,
    runtime_api: SocketAddr,
    numbers: AtomicU64,
    sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
}

impl Processes {
    pub(super) fn new(function: HostedFunction, runtime_api: SocketAddr, log: FunctionLog) -> Self {
        let numbers = AtomicU64::new(1);
        Self { function, log: Arc::new(log), runtime_api, numbers, sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process and registers it with the Runtime API.
    pub(super) fn start(&self) -> std::io::Result<Process> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (process, session) =
            Process::start(&self.function, number, self.runtime_api, &self.log)?;
        self.sessions().insert(number, session);
        Ok(process)
    }

    /// Removes a process that has exited.
    pub(super) fn remove(&self, number: u64) {
        self.sessions().remove(&number);
    }

    pub(super) fn session(&self, number: u64) -> Option<Arc<Session>> {
        self.sessions().get(&number).cloned()
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.sessions().values().map(|session| session.process_id).collect()
    }

    /// Kills all processes, and returns how many there were.
    pub(super) async fn kill(&self) -> usize {
        let sessions: Vec<_> = self.sessions().values().cloned().collect();
        join_all(sessions.iter().map(|session| session.kill())).await;
        sessions.len()
    }

    /// Kills a process and removes it.
    pub(super) async fn end(&self, number: u64) {
        if let Some(session) = self.session(number) {
            session.kill().await;
        }
        self.remove(number);
    }

    /// Kills all processes and removes them.
    pub(super) async fn end_all(&self) {
        self.kill().await;
        self.sessions().clear();
    }

    /// As [`Self::end_all`], without waiting for them to exit.
    pub(super) fn abandon(&self) {
        for session in self.sessions().values() {
            session.abandon();
        }
    }
}
