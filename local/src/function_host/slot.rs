//! How is one event after the other handed to a process, and the process replaced when it dies?

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::failure::Failure;
use super::lanes::Invocation;
use super::process::{Assignment, Message, Process};
use super::processes::Processes;
use super::queue::{Address, Queue};
use super::start::{self, StartFailure};

/// The pause before a process is started again that ended while it started; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One place for a process: at most one runs here at a time.
pub(super) struct Slot {
    processes: Arc<Processes>,
    queue: Arc<Queue>,
    mailbox: mpsc::UnboundedReceiver<Invocation>,
    address: Address,
    process: Option<Process>,
    failed_starts: u32,
}

impl Slot {
    pub(super) fn new(processes: Arc<Processes>, queue: Arc<Queue>) -> Self {
        let (address, mailbox) = mpsc::unbounded_channel();
        Self { processes, queue, mailbox, address, process: None, failed_starts: 0 }
    }

    /// Works through the first event and all that follow.
    pub(super) async fn run(mut self, first: Invocation) {
        let mut next = Some(first);
        loop {
            let invocation = match next.take() {
                Some(invocation) => invocation,
                None => self.idle().await,
            };
            let answer = self.invoke(&invocation.request_id, invocation.event).await;
            // Whoever asked may have gone away.
            invocation.answer.send(answer).ok();
            next = self.queue.next_or_idle(Some(invocation.lane), &self.address);
        }
    }

    /// Starts a process, then waits for events.
    pub(super) async fn warm(mut self, ready: oneshot::Sender<Result<(), String>>) {
        let started = self.ensure_process().await.map_err(|failure| failure.message());
        // Whoever asked may have gone away.
        ready.send(started).ok();
        let first = match self.queue.next_or_idle(None, &self.address) {
            Some(invocation) => invocation,
            None => self.idle().await,
        };
        self.run(first).await;
    }

    /// Waits for an event, and takes note when the idle process ends meanwhile.
    async fn idle(&mut self) -> Invocation {
        loop {
            let Some(process) = &mut self.process else {
                if let Some(invocation) = self.mailbox.recv().await {
                    return invocation;
                }
                continue;
            };
            tokio::select! {
                Some(invocation) = self.mailbox.recv() => return invocation,
                _ = process.exited() => self.drop_process(),
            }
        }
    }

    async fn invoke(&mut self, request_id: &str, event: Bytes) -> Result<Bytes, Failure> {
        self.ensure_process().await.map_err(|failure| failure.into_failure(request_id))?;
        let Some(process) = &mut self.process else { return Err(Failure::stopping()) };
        let limit = self.processes.function.timeout;
        let deadline = Instant::now() + limit;
        let assignment = Assignment {
            request_id: request_id.to_owned(),
            event,
            deadline_ms: milliseconds_from_now(limit),
        };
        // A process that has just ended is noticed below.
        process.assignments.send(assignment).ok();
        let exited = process.exited();
        tokio::pin!(exited);
        let ended = loop {
            tokio::select! {
                biased;
                Some(message) = process.messages.recv() => match message {
                    Message::Returned { request_id: id, body } if id == request_id => {
                        return Ok(body);
                    }
                    Message::Failed { request_id: id, body } if id == request_id => {
                        return Err(Failure(body));
                    }
                    _ => {}
                },
                how = &mut exited => break Failure::exited(request_id, &how),
                () = sleep_until(deadline) => break Failure::timed_out(request_id, limit),
            }
        };
        self.kill_process().await;
        Err(ended)
    }

    /// Has a process that asks for events, a new one if need be.
    async fn ensure_process(&mut self) -> Result<(), StartFailure> {
        if self.process.is_some() {
            return Ok(());
        }
        if self.failed_starts > 0 {
            let doubled = FIRST_PAUSE.saturating_mul(1 << self.failed_starts.min(10));
            sleep(doubled.min(LONGEST_PAUSE)).await;
        }
        match start::process(&self.processes).await {
            Ok(process) => {
                self.failed_starts = 0;
                self.process = Some(process);
                Ok(())
            }
            Err(failure) => {
                self.failed_starts = self.failed_starts.saturating_add(1);
                Err(failure)
            }
        }
    }

    async fn kill_process(&mut self) {
        if let Some(process) = self.process.take() {
            self.processes.end(process.number).await;
        }
    }

    fn drop_process(&mut self) {
        if let Some(process) = self.process.take() {
            self.processes.forget(process.number);
        }
    }
}

fn milliseconds_from_now(duration: Duration) -> u64 {
    let now = jiff::Timestamp::now().as_millisecond();
    let duration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    u64::try_from(now.saturating_add(duration)).unwrap_or(u64::MAX)
}
