//! Assigns events to the processes of one function.
//!
//! If no process is idle, a further one starts, up to a limit; beyond it events are queued. An
//! event is never sent to a second process: if its process exits, the invocation fails.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::HostedFunction;
use super::failure::Failure;
use super::lanes::{Invocation, Lane, Throttled};
use super::log::FunctionLog;
use super::processes::Processes;
use super::queue::Queue;
use super::slot::Slot;

/// The processes of one function, and the queue of its events.
pub(super) struct Pool {
    pub(super) processes: Arc<Processes>,
    queue: Arc<Queue>,
    /// `None` once the pool is closed.
    slots: Mutex<Option<JoinSet<()>>>,
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
            queue: Arc::new(Queue::new(limit)),
            slots: Mutex::new(Some(JoinSet::new())),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invokes the function and waits for its response.
    ///
    /// # Errors
    /// [`Throttled`] if the function was not invoked.
    pub(super) async fn invoke(
        &self,
        lane: Lane,
        request_id: String,
        event: Bytes,
    ) -> Result<Result<Bytes, Failure>, Throttled> {
        let (response, responded) = oneshot::channel();
        let invocation = Invocation { lane, request_id, event, response };
        if let Some(invocation) = self.queue.enter(invocation)? {
            self.open(|slot| slot.run(invocation));
        }
        Ok(responded.await.unwrap_or_else(|_| Err(Failure::stopping())))
    }

    /// Starts a process before the first event; the receiver gets the result.
    pub(super) fn warm(&self) -> oneshot::Receiver<Result<(), String>> {
        let (ready, started) = oneshot::channel();
        self.open(|slot| slot.warm(ready));
        started
    }

    /// Adds a slot, unless the pool is closed.
    fn open<W>(&self, work: impl FnOnce(Slot) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        if let Some(slots) = self.slots().as_mut() {
            let slot = Slot::new(Arc::clone(&self.processes), Arc::clone(&self.queue));
            slots.spawn(work(slot));
        }
    }

    /// Ends all processes; queued events fail.
    pub(super) async fn close(&self) {
        self.stop_slots();
        self.processes.end_all().await;
    }

    /// As [`Self::close`], without waiting for the processes to exit.
    pub(super) fn abandon(&self) {
        self.stop_slots();
        self.processes.abandon();
    }

    fn stop_slots(&self) {
        self.queue.close();
        // Dropping the set aborts its tasks.
        drop(self.slots().take());
    }
}
