//! An execution environment: sends invocations to one process, one after the other.
//!
//! As in Lambda, it survives its process: the next invocation initializes another one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::HostedFunction;
use super::completion::Completion;
use super::concurrency::{Concurrency, EnvironmentSender, Invocation};
use super::invoke_api::Failure;
use super::memory::Memory;
use super::pool::Processes;
use super::process::{InitFailure, Process};
use super::report::Report;
use super::runtime_api::NextInvocation;

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

    /// Waits for an invocation; meanwhile the process is frozen, or removed if it ends.
    async fn idle(&mut self) -> Invocation {
        loop {
            let Some(process) = &mut self.process else {
                if let Some(invocation) = self.invocations.recv().await {
                    return invocation;
                }
                continue;
            };
            tokio::select! {
                biased;
                () = process.rest() => {}
                Some(invocation) = self.invocations.recv() => return invocation,
            }
            self.end_process().await;
        }
    }

    async fn invoke(&mut self, request_id: &str, event: Bytes) -> Result<Bytes, Failure> {
        self.ensure_process().await.map_err(|failure| failure.into_failure(request_id))?;
        let Some(process) = &mut self.process else { return Err(Failure::stopping()) };
        let HostedFunction { ref name, timeout, memory_mb, .. } = self.processes.function;
        let next = NextInvocation {
            request_id: request_id.to_owned(),
            event,
            deadline_ms: milliseconds_from_now(timeout),
        };
        let began = Instant::now();
        process.send(next, began + timeout);
        let mut memory = Memory::of(process.id);
        let limit = (&mut memory, memory_mb);
        let completion = Completion::of(process, request_id, limit).await;
        memory.sample();
        let report = Report {
            request_id,
            status: completion.status(),
            duration: began.elapsed(),
            init_duration: process.init_duration.take(),
            memory_mb,
            peak_mb: memory.peak_mb,
        };
        if matches!(completion, Completion::OutOfMemory) {
            let peak_mb = memory.peak_mb.unwrap_or_default();
            tracing::warn!(
                "{name} used {peak_mb} MB and was killed: its limit is {memory_mb} MB (MemorySize)"
            );
        }
        if completion.ends_process() {
            // Its last lines precede the report.
            self.end_process().await;
        }
        self.processes.log.report(&report);
        completion.into_response(request_id, timeout)
    }

    /// Waits until the process requests an event, or starts another one.
    async fn ensure_process(&mut self) -> Result<(), InitFailure> {
        if let Some(process) = &mut self.process {
            if process.freeze().await {
                return Ok(());
            }
            self.end_process().await;
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

    async fn end_process(&mut self) {
        if let Some(process) = self.process.take() {
            self.processes.end(process.number).await;
        }
    }
}

/// Starts a process of the function and waits until it requests its first event.
async fn initialize(processes: &Processes) -> Result<Process, InitFailure> {
    let mut process = processes.start().map_err(|error| {
        let executable = processes.function.executable.display();
        InitFailure::Exited(format!("cannot run {executable}: {error}"))
    })?;
    let began = Instant::now();
    let ready = timeout(READY_TIMEOUT, process.ready()).await;
    let failure = match ready {
        Ok(Ok(())) => {
            process.init_duration = Some(began.elapsed());
            return Ok(process);
        }
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
