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
use super::concurrency::{Concurrency, Invocation, InvocationSource, PendingResponse, Throttled};
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
        let (sender, response) = oneshot::channel();
        let mut pending = PendingResponse { concurrency: &self.concurrency, source, response };
        let invocation = Invocation { source, request_id, event, response: sender };
        if let Some(invocation) = self.concurrency.acquire(invocation)? {
            self.open(|environment| environment.run(invocation));
        }
        Ok((&mut pending.response).await.unwrap_or_else(|_| Err(Failure::stopping())))
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
        // Locked meanwhile: on a busy machine the process may request its first event before this
        // program goes on, and must not be told that it was abandoned.
        let mut sessions = self.sessions();
        let (process, session) =
            Process::start(&self.function, number, self.runtime_api, &self.log)?;
        sessions.insert(number, session);
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::function_host::Outcomes;

    /// Holds the payload as long as it is in memory.
    fn event(payload: &Arc<Vec<u8>>) -> Bytes {
        struct Payload(Arc<Vec<u8>>);
        impl AsRef<[u8]> for Payload {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Payload(Arc::clone(payload)))
    }

    #[tokio::test]
    async fn an_invocation_whose_caller_has_disconnected_leaves_the_queue_at_once() {
        let logs = tempfile::tempdir().unwrap();
        let log = FunctionLog::create("slow", &logs.path().join("slow.log"), Outcomes::default());
        // No response of the Runtime API: the process initializes until the pool is closed.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let function = HostedFunction {
            name: "slow".to_owned(),
            executable: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/function.py"),
            timeout: Duration::from_secs(60),
            memory_mb: 128,
            environment: Vec::new(),
        };
        let pool = Pool::new(function, 1, silent.local_addr().unwrap(), log.unwrap());
        for (source, limit) in [(InvocationSource::Other, 1), (InvocationSource::Http, 4)] {
            let payload = Arc::new(vec![0; 1024]);
            let invoke = |_| pool.invoke(source, "id".to_owned(), event(&payload)).boxed();
            let mut running: Vec<_> = (0..limit).map(invoke).collect();
            let mut queued: Vec<_> = (0..3).map(invoke).collect();
            for invocation in running.iter_mut().chain(&mut queued) {
                assert!(invocation.now_or_never().is_none());
            }
            let in_memory = || Arc::strong_count(&payload) - 1;
            assert_eq!(in_memory(), limit + 3);
            queued.truncate(1);
            assert_eq!(in_memory(), limit + 1);
            drop(queued);
            assert_eq!(in_memory(), limit, "the others still run");
        }
        pool.close().await;
    }
}
