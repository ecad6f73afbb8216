//! Which process of a function takes the next event, and what if it does not survive it?
//!
//! Up to a limit, a process is started when none is idle; beyond it events wait in order. One event
//! is never given to two processes: what a dead one was working on has failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::HostedFunction;
use super::failure::Failure;
use super::lanes::{Lane, Lanes};
use super::log::FunctionLog;
use super::process::{Process, Session};
use super::slot::Slot;

/// An event that waits for a process, and whoever waits for its answer.
pub(super) struct Invocation {
    pub(super) lane: Lane,
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) answer: oneshot::Sender<Result<Bytes, Failure>>,
}

/// The processes of one function.
pub(super) struct Pool {
    pub(super) function: HostedFunction,
    pub(super) log: Arc<FunctionLog>,
    api: SocketAddr,
    numbers: AtomicU64,
    sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
    state: Mutex<State>,
}

struct State {
    lanes: Lanes,
    idle: Vec<mpsc::UnboundedSender<Invocation>>,
    slots: Vec<AbortHandle>,
    closed: bool,
}

impl Pool {
    pub(super) fn new(
        function: HostedFunction,
        limit: usize,
        api: SocketAddr,
        log: FunctionLog,
    ) -> Self {
        Self {
            function,
            log: Arc::new(log),
            api,
            numbers: AtomicU64::new(1),
            sessions: Mutex::default(),
            state: Mutex::new(State {
                lanes: Lanes::new(limit),
                idle: Vec::new(),
                slots: Vec::new(),
                closed: false,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invokes the function and waits for its answer.
    pub(super) async fn invoke(
        self: &Arc<Self>,
        lane: Lane,
        request_id: String,
        event: Bytes,
    ) -> Result<Bytes, Failure> {
        let (answer, answered) = oneshot::channel();
        self.submit(Invocation { lane, request_id, event, answer });
        answered.await.unwrap_or_else(|_| Err(Failure::stopping()))
    }

    fn submit(self: &Arc<Self>, invocation: Invocation) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let Some(invocation) = state.lanes.enter(invocation) else { return };
        // The slot that was used last has the warmest process.
        let invocation = match state.idle.pop() {
            Some(slot) => match slot.send(invocation) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => invocation,
        };
        let slot = Slot::new(Arc::clone(self));
        state.slots.push(tokio::spawn(slot.run(invocation)).abort_handle());
    }

    /// Starts a process ahead of the first event; tells whether it became ready.
    pub(super) fn warm(self: &Arc<Self>) -> oneshot::Receiver<Result<(), String>> {
        let (ready, started) = oneshot::channel();
        let slot = Slot::new(Arc::clone(self));
        self.state().slots.push(tokio::spawn(slot.warm(ready)).abort_handle());
        started
    }

    /// The next event for a slot that has finished one of this lane (`None`: it has just started),
    /// or none and the slot counts as idle.
    pub(super) fn next_or_idle(
        &self,
        finished: Option<Lane>,
        slot: &mpsc::UnboundedSender<Invocation>,
    ) -> Option<Invocation> {
        let mut state = self.state();
        let next = finished.and_then(|lane| state.lanes.leave(lane));
        if next.is_none() {
            state.idle.push(slot.clone());
        }
        next
    }

    /// Starts a process and makes it known to the Runtime API.
    pub(super) fn start_process(&self) -> std::io::Result<Process> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (process, session) = Process::start(&self.function, number, self.api, &self.log)?;
        self.sessions().insert(number, session);
        Ok(process)
    }

    /// Forgets a process that has ended.
    pub(super) fn forget_process(&self, number: u64) {
        self.sessions().remove(&number);
    }

    /// The session of a process that is running.
    pub(super) fn session(&self, number: u64) -> Option<Arc<Session>> {
        self.sessions().get(&number).cloned()
    }

    pub(super) fn process_ids(&self) -> Vec<u32> {
        self.sessions().values().map(|session| session.process_id).collect()
    }

    /// Kills all processes, and returns how many it were.
    pub(super) async fn kill(&self) -> usize {
        let sessions: Vec<_> = self.sessions().values().cloned().collect();
        join_all(sessions.iter().map(|session| session.kill())).await;
        sessions.len()
    }

    /// Ends all processes; events that wait fail.
    pub(super) async fn close(&self) {
        self.stop_slots();
        self.kill().await;
        self.sessions().clear();
    }

    /// As [`Self::close`], without waiting for the processes to be gone.
    pub(super) fn abandon(&self) {
        self.stop_slots();
        for session in self.sessions().values() {
            session.abandon();
        }
    }

    fn stop_slots(&self) {
        let mut state = self.state();
        state.closed = true;
        state.lanes.clear();
        for slot in state.slots.drain(..) {
            slot.abort();
        }
    }
}
