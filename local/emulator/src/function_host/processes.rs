//! The running processes of one function.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;

use super::HostedFunction;
use super::log::FunctionLog;
use super::process::{Process, Session};

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
