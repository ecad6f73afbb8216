//! How does one process of a function start, get its events, and end?
//!
//! A process has a number that no other process ever gets, so what a dead one still sends can never
//! be taken for its successor's.

use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, Notify, mpsc, watch};

use super::HostedFunction;
use super::log::{FunctionLog, Stream};

/// What a process takes over from this program; everything else it gets as in AWS, from its own
/// settings, so that a variable which the template forgot is missed here too, and `RUST_LOG` of this
/// program does not silence the decisions that are counted.
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

/// An event on its way to a process.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) deadline_ms: u64,
}

/// What a process tells over the Runtime API.
#[derive(Debug)]
pub(super) enum Message {
    /// It asks for an event.
    Ready,
    /// It returned this for the request.
    Returned { request_id: String, body: Bytes },
    /// It failed with this error on the request.
    Failed { request_id: String, body: Bytes },
    /// It cannot start.
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
    /// Kills the process with SIGKILL and waits until it is gone.
    pub(super) async fn kill(&self) {
        self.kill.notify_one();
        let mut exit = self.exit.clone();
        // An error means that the watcher is gone, and the process with it.
        exit.wait_for(Option::is_some).await.ok();
    }

    /// Asks for the process to be killed, without waiting.
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
    /// Starts a process.
    pub(super) fn start(
        function: &HostedFunction,
        number: u64,
        api: SocketAddr,
        log: &Arc<FunctionLog>,
    ) -> io::Result<(Self, Arc<Session>)> {
        keep_connections_to_ourselves();
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
        let (told, messages) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        let kill = Arc::new(Notify::new());
        tokio::spawn({
            let kill = Arc::clone(&kill);
            async move {
                let how = how_it_ended(child, &kill).await;
                // The last words are complete before the exit is told.
                for reader in readers {
                    reader.await.ok();
                }
                exited.send_replace(Some(how));
            }
        });
        let session = Session {
            assignments: Mutex::new(assigned),
            messages: told,
            process_id,
            kill,
            exit: exit.clone(),
        };
        Ok((Self { number, assignments, messages, exit }, Arc::new(session)))
    }

    /// Waits until the process has ended, and tells how it did.
    pub(super) fn exited(&self) -> impl Future<Output = String> + use<> {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(how) => how.clone().unwrap_or_default(),
                Err(_) => "unknown".to_owned(),
            }
        }
    }
}

async fn how_it_ended(mut child: Child, kill: &Notify) -> String {
    loop {
        tokio::select! {
            ended = child.wait() => {
                return ended.map_or_else(|error| error.to_string(), in_words);
            }
            () = kill.notified() => {
                // A process that is already gone cannot be killed, which is as good.
                child.start_kill().ok();
            }
        }
    }
}

/// As Lambda writes it: `exit status 1`, `signal: killed`.
fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Marks every open file so that a process that is started gets none of them but the standard three.
///
/// The embedded broker leaves the connections that it takes unmarked. In a function's process they
/// would stay open when the broker closes them, and their clients would wait for answers in vain.
fn keep_connections_to_ourselves() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

fn command(function: &HostedFunction, number: u64, api: SocketAddr) -> Command {
    let name = &function.name;
    let mut command = Command::new(&function.executable);
    command
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // With the scheme, because an address with a path is no URI without it.
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
        // Ctrl-C in a terminal goes to the whole group: the functions outlive it until the
        // mappings have finished what they are at.
        .process_group(0)
        .kill_on_drop(true);
    command
}
