//! One process of a function.
//!
//! Its number is never reused, so that a late message of an old process is never attributed to its
//! successor.

use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, Notify, mpsc, watch};

use super::HostedFunction;
use super::invoke_api::Failure;
use super::log::{FunctionLog, Stream};
use super::runtime_api::{Message, NextInvocation, Session};

/// The variables that a process inherits. All others come from the template, as in AWS: a variable
/// that the template lacks is missing here too, and this program's `RUST_LOG` does not suppress the
/// outcome lines.
const INHERITED: [&str; 8] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "LLVM_PROFILE_FILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// The execution environment's side of a process.
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) invocations: mpsc::UnboundedSender<NextInvocation>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    exit: watch::Receiver<Option<String>>,
}

impl Process {
    pub(super) fn start(
        function: &HostedFunction,
        number: u64,
        api: SocketAddr,
        log: &Arc<FunctionLog>,
    ) -> io::Result<(Self, Arc<Session>)> {
        close_files_on_exec();
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let mut command = command(function, number);
        // An address with a path is not a URI without the scheme.
        let runtime_api = format!("http://{api}/{}/{number}/{secret}", function.name);
        let mut child = command.env("AWS_LAMBDA_RUNTIME_API", runtime_api).spawn()?;
        let process_id = child.id().unwrap_or_default();
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
        let kill = Arc::new(Notify::new());
        tokio::spawn({
            let kill = Arc::clone(&kill);
            async move {
                let status = exit_status(child, &kill).await;
                // The log must be complete before the exit is reported.
                for reader in readers {
                    reader.await.ok();
                }
                exited.send_replace(Some(status));
            }
        });
        let session = Session {
            secret,
            invocations: Mutex::new(next_invocations),
            messages: sender,
            process_id,
            kill,
            exit: exit.clone(),
        };
        Ok((Self { number, invocations, messages, exit }, Arc::new(session)))
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

    /// Waits until the process requests an event, reports an error or exits.
    pub(super) async fn ready(&mut self) -> Result<(), InitFailure> {
        let exited = self.exited();
        tokio::pin!(exited);
        loop {
            tokio::select! {
                biased;
                Some(message) = self.messages.recv() => match message {
                    Message::Ready => return Ok(()),
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

async fn exit_status(mut child: Child, kill: &Notify) -> String {
    loop {
        tokio::select! {
            ended = child.wait() => {
                return ended.map_or_else(|error| error.to_string(), lambda_status);
            }
            () = kill.notified() => {
                // Fails only if the process has already exited.
                child.start_kill().ok();
            }
        }
    }
}

/// As Lambda writes it: `exit status 1`, `signal: killed`.
fn lambda_status(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Marks every open file except the standard three as close-on-exec.
///
/// The embedded broker does not mark the connections that it accepts. A function's process would
/// keep them open after the broker has closed them, and their clients would wait for responses.
fn close_files_on_exec() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

fn command(function: &HostedFunction, number: u64) -> Command {
    let name = &function.name;
    let mut command = Command::new(&function.executable);
    command
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/{number}"))
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .envs(function.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal signals the whole group. In their own group, the functions run until
        // the mappings have finished their invocations in flight.
        .process_group(0)
        .kill_on_drop(true);
    command
}
