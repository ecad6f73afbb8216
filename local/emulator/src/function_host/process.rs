//! One process of a function.
//!
//! As in Lambda, it runs only while it initializes or has an invocation: from its request for the
//! next event until it gets one, it is frozen (SIGSTOP). If this program is killed, the kernel ends
//! it: SIGHUP and SIGCONT for the stopped processes of an orphaned group.
//!
//! Its number is never reused, so that a late message of an old process is never attributed to its
//! successor.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use rustix::process::Signal;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::HostedFunction;
use super::child::exit_status;
use super::command::command;
use super::invoke_api::Failure;
use super::log::{FunctionLog, Stream};
use super::running;
use super::runtime_api::{Message, NextInvocation, Session};

/// The execution environment's side of a process.
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) id: u32,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    /// Until the first invocation has taken it.
    pub(super) init_duration: Option<Duration>,
    invocations: mpsc::UnboundedSender<NextInvocation>,
    signals: mpsc::UnboundedSender<Signal>,
    exit: watch::Receiver<Option<String>>,
    /// For the current invocation, and for the request that follows it.
    pub(super) deadline: Instant,
    frozen: bool,
}

impl Process {
    pub(super) fn start(
        function: &HostedFunction,
        number: u64,
        api: SocketAddr,
        log: &Arc<FunctionLog>,
    ) -> io::Result<(Self, Arc<Session>)> {
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let mut command = command(function, number);
        // An address with a path is not a URI without the scheme.
        let runtime_api = format!("http://{api}/{}/{number}/{secret}", function.name);
        let mut child = running::spawn(command.env("AWS_LAMBDA_RUNTIME_API", runtime_api))?;
        let id = child.id().unwrap_or_default();
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            let log = Arc::clone(log);
            readers.push(tokio::spawn(async move { log.read(output, Stream::Output).await }));
        }
        if let Some(errors) = child.stderr.take() {
            let log = Arc::clone(log);
            readers.push(tokio::spawn(async move { log.read(errors, Stream::Error).await }));
        }
        let (invocations, next_invocations) = mpsc::unbounded_channel();
        let (sender, messages) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        let (signals, sent_signals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let status = exit_status(child, sent_signals).await;
            running::remove(id);
            // The log must be complete before the exit is reported.
            for reader in readers {
                reader.await.ok();
            }
            exited.send_replace(Some(status));
        });
        let session = Session {
            secret,
            invocations: Mutex::new(next_invocations),
            messages: sender,
            process_id: id,
            signals: signals.clone(),
            exit: exit.clone(),
        };
        let process = Self {
            number,
            id,
            messages,
            init_duration: None,
            invocations,
            signals,
            exit,
            deadline: Instant::now(),
            frozen: false,
        };
        Ok((process, Arc::new(session)))
    }

    /// Continues the process and sends it an event.
    pub(super) fn send(&mut self, next: NextInvocation, deadline: Instant) {
        self.deadline = deadline;
        self.frozen = false;
        // Both fail only if the process has exited, which `exited` reports.
        self.signals.send(Signal::CONT).ok();
        self.invocations.send(next).ok();
    }

    /// Freezes the process once it requests the next event. `false` if it must be replaced: it has
    /// exited, or has not requested an event within the time limit of its last invocation.
    pub(super) async fn freeze(&mut self) -> bool {
        let requested =
            self.frozen || matches!(timeout_at(self.deadline, self.ready()).await, Ok(Ok(())));
        requested && self.exit.borrow().is_none()
    }

    /// Returns when the process must be replaced; meanwhile it is frozen.
    pub(super) async fn rest(&mut self) {
        if self.freeze().await {
            self.exited().await;
        }
    }

    /// Waits for the process to exit; returns its status as Lambda writes it.
    pub(super) fn exited(&self) -> impl Future<Output = String> + use<> {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(status) => status.clone().unwrap_or_default(),
                Err(_) => "unknown".to_owned(),
            }
        }
    }

    /// Waits until the process requests an event, and freezes it.
    pub(super) async fn ready(&mut self) -> Result<(), InitFailure> {
        let exited = self.exited();
        tokio::pin!(exited);
        loop {
            tokio::select! {
                biased;
                Some(message) = self.messages.recv() => match message {
                    Message::Ready => {
                        self.frozen = true;
                        self.signals.send(Signal::STOP).ok();
                        return Ok(());
                    }
                    Message::InitFailed { body } => return Err(InitFailure::Reported(body)),
                    Message::Returned { .. } | Message::Failed { .. } => {}
                },
                status = &mut exited => return Err(InitFailure::Exited(status)),
            }
        }
    }
}

/// Why a process did not start.
pub(super) enum InitFailure {
    /// Its error, as posted to the Runtime API.
    Reported(Bytes),
    /// Its exit status and last warnings.
    Exited(String),
}

impl InitFailure {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Reported(body) => String::from_utf8_lossy(body).into_owned(),
            Self::Exited(status) => status.clone(),
        }
    }

    pub(super) fn into_failure(self, request_id: &str) -> Failure {
        match self {
            Self::Reported(body) => Failure(body),
            Self::Exited(status) => Failure::exited(request_id, &status),
        }
    }
}
