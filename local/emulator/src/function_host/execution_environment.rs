//! An execution environment: sends invocations to one process, one after the other.
//!
//! As in Lambda, it survives its process: the next invocation initializes another one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::concurrency::{Concurrency, EnvironmentSender, Invocation};
use super::invoke_api::Failure;
use super::pool::Processes;
use super::process::{InitFailure, Process};
use super::runtime_api::{Message, NextInvocation};

/// Backoff between failed starts of a process; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Limit for a process to request its first event.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Has at most one process.
pub(super) struct ExecutionEnvironment {
    processes: Arc<Processes>,
    concurrency: Arc<Concurrency>,
    invocations: mpsc::UnboundedReceiver<Invocation>,
    sender: EnvironmentSender,
    process: Option<Process>,
    failed_starts: u32,
}

impl ExecutionEnvironment {
    pub(super) fn new(processes: Arc<Processes>, concurrency: Arc<Concurrency>) -> Self {
        let (sender, invocations) = mpsc::unbounded_channel();
        Self { processes, concurrency, invocations, sender, process: None, failed_starts: 0 }
    }

    /// Processes the first invocation, then those that are queued.
    pub(super) async fn run(mut self, first: Invocation) {
        let mut next = Some(first);
        loop {
            let invocation = match next.take() {
                Some(invocation) => invocation,
                None => self.idle().await,
            };
            let response = self.invoke(&invocation.request_id, invocation.event).await;
            // The caller may have disconnected.
            invocation.response.send(response).ok();
            next = self.concurrency.next_or_idle(Some(invocation.source), &self.sender);
        }
    }

    /// Starts a process, then waits for invocations.
    pub(super) async fn warm(mut self, ready: oneshot::Sender<Result<(), String>>) {
        let started = self.ensure_process().await.map_err(|failure| failure.message());
        // The caller may have disconnected.
        ready.send(started).ok();
        let first = match self.concurrency.next_or_idle(None, &self.sender) {
            Some(invocation) => invocation,
            None => self.idle().await,
        };
        self.run(first).await;
    }

    /// Waits for an invocation, and drops the process if it exits meanwhile.
    async fn idle(&mut self) -> Invocation {
        loop {
            let Some(process) = &mut self.process else {
                if let Some(invocation) = self.invocations.recv().await {
                    return invocation;
                }
                continue;
            };
            tokio::select! {
                Some(invocation) = self.invocations.recv() => return invocation,
                _ = process.exited() => self.drop_process(),
            }
        }
    }

    async fn invoke(&mut self, request_id: &str, event: Bytes) -> Result<Bytes, Failure> {
        self.ensure_process().await.map_err(|failure| failure.into_failure(request_id))?;
        let Some(process) = &mut self.process else { return Err(Failure::stopping()) };
        let limit = self.processes.function.timeout;
        let deadline = Instant::now() + limit;
        let next = NextInvocation {
            request_id: request_id.to_owned(),
            event,
            deadline_ms: milliseconds_from_now(limit),
        };
        // A process that has just exited is detected below.
        process.invocations.send(next).ok();
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
                status = &mut exited => break Failure::exited(request_id, &status),
                () = sleep_until(deadline) => break Failure::timed_out(request_id, limit),
            }
        };
        self.kill_process().await;
        Err(ended)
    }

    /// Starts a process if there is none.
    async fn ensure_process(&mut self) -> Result<(), InitFailure> {
        if self.process.is_some() {
            return Ok(());
        }
        if self.failed_starts > 0 {
            let doubled = FIRST_BACKOFF.saturating_mul(1 << self.failed_starts.min(10));
            sleep(doubled.min(MAX_BACKOFF)).await;
        }
        match initialize(&self.processes).await {
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
            self.processes.remove(process.number);
        }
    }
}

/// Starts a process of the function and waits until it requests its first event.
async fn initialize(processes: &Processes) -> Result<Process, InitFailure> {
    let mut process = processes.start().map_err(|error| {
        let executable = processes.function.executable.display();
        InitFailure::Exited(format!("cannot run {executable}: {error}"))
    })?;
    let ready = timeout(READY_TIMEOUT, process.ready()).await;
    let failure = match ready {
        Ok(Ok(())) => return Ok(process),
        Ok(Err(failure)) => failure,
        Err(_) => InitFailure::Exited(format!(
            "it requested no event within {} s",
            READY_TIMEOUT.as_secs()
        )),
    };
    processes.end(process.number).await;
    Err(match failure {
        InitFailure::Exited(status) => {
            let warnings = processes.log.take_warning_tail();
            InitFailure::Exited(format!("{status}\n{warnings}").trim_end().to_owned())
        }
        reported @ InitFailure::Reported(_) => reported,
    })
}

fn milliseconds_from_now(duration: Duration) -> u64 {
    let now = jiff::Timestamp::now().as_millisecond();
    let duration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    u64::try_from(now.saturating_add(duration)).unwrap_or(u64::MAX)
}
