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
use super::log::{FunctionLog, Stream};

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

/// An event for a process.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) deadline_ms: u64,
}

/// A message of a process over the Runtime API; `Ready` requests an event.
#[derive(Debug)]
pub(super) enum Message {
    Ready,
    Returned { request_id: String, body: Bytes },
    Failed { request_id: String, body: Bytes },
    InitFailed { body: Bytes },
}

/// The Runtime API's side of a process.
pub(super) struct Session {
    pub(super) assignments: Mutex<mpsc::UnboundedReceiver<Assignment>>,
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) process_id: u32,
    kill: Arc<Notify>,
    exit: watch::Receiver<Option<String>>,
}

impl Session {
    /// Kills the process with SIGKILL and waits until it has exited.
    pub(super) async fn kill(&self) {
        self.kill.notify_one();
        let mut exit = self.exit.clone();
        // Fails only if the watcher has ended, and the process with it.
        exit.wait_for(Option::is_some).await.ok();
    }

    /// Kills the process without waiting.
    pub(super) fn abandon(&self) {
        self.kill.notify_one();
    }
}

/// A slot's side of a process.
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) assignments: mpsc::UnboundedSender<Assignment>,
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
        let mut child = command(function, number, api).spawn()?;
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
        let (assignments, assigned) = mpsc::unbounded_channel();
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
            assignments: Mutex::new(assigned),
            messages: sender,
            process_id,
            kill,
            exit: exit.clone(),
        };
        Ok((Self { number, assignments, messages, exit }, Arc::new(session)))
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

fn command(function: &HostedFunction, number: u64, api: SocketAddr) -> Command {
    let name = &function.name;
    let mut command = Command::new(&function.executable);
    command
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // An address with a path is not a URI without the scheme.
        .env("AWS_LAMBDA_RUNTIME_API", format!("http://{api}/{name}/{number}"))
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
