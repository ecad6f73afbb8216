//! A measured process: its invocations, resources and last output.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use emulator::broker;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::command::command;
use crate::contender::Contender;
use crate::cpu_share::CpuShare;
use crate::error::{BenchError, Context, Result};
use crate::procfs;
use crate::runtime_api::{Call, CallKind, RuntimeApi};

/// Longer than the functions' own timeout.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(90);
const TERMINATION_TIMEOUT: Duration = Duration::from_mins(1);
/// Limit for reading the last output of a process after its end.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);
const OUTPUT_TAIL_BYTES: usize = 4096;

/// A running process; killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    api: RuntimeApi,
    is_waiting: bool,
    output: Arc<Mutex<Vec<u8>>>,
    /// The tasks that read the output; aborted when dropped.
    readers: JoinSet<()>,
    pub(crate) started: Instant,
    pub(crate) id: u32,
}

/// The response to an invocation, and the time from its delivery.
pub(crate) struct Response {
    pub(crate) body: Bytes,
    pub(crate) wall: Duration,
}

impl Process {
    pub(crate) async fn start(contender: &Contender, share: Option<&CpuShare>) -> Result<Self> {
        Self::start_with(contender, share, None).await
    }

    /// Starts the process with an invocation already waiting, as in Lambda.
    pub(crate) async fn start_with(
        contender: &Contender,
        share: Option<&CpuShare>,
        invocation: Option<Bytes>,
    ) -> Result<Self> {
        let api = RuntimeApi::start().await?;
        if let Some(invocation) = invocation {
            api.invocations.send(invocation).ok();
        }
        let mut command = command(contender, share);
        command.env("AWS_LAMBDA_RUNTIME_API", api.address.to_string());
        let started = Instant::now();
        let mut child = broker::spawn(|| command.spawn())
            .context(format!("cannot start {}", contender.program.display()))?;
        let output = Arc::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(keep_tail(stdout, Arc::clone(&output)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(keep_tail(stderr, Arc::clone(&output)));
        }
        let id = child.id().unwrap_or_default();
        Ok(Self {
            name: contender.name.clone(),
            child,
            api,
            is_waiting: false,
            output,
            readers,
            started,
            id,
        })
    }

    /// Waits until the process requests its next invocation; returns the time.
    pub(crate) async fn ready(&mut self) -> Result<Instant> {
        let call = self.call().await?;
        match call.kind {
            CallKind::Next => {
                self.is_waiting = true;
                Ok(call.at)
            }
            CallKind::Response(_) => Err(self.failed("response without an invocation")),
            CallKind::Error(body) => Err(self.failed(&String::from_utf8_lossy(&body))),
        }
    }

    /// Invokes the process and waits for its response.
    pub(crate) async fn invoke(&mut self, event: Bytes) -> Result<Response> {
        if !self.is_waiting {
            self.ready().await?;
        }
        let delivered = Instant::now();
        self.api.invocations.send(event).ok();
        let (at, body) = self.response().await?;
        Ok(Response { body, wall: at.duration_since(delivered) })
    }

    /// Waits for the response to the delivered invocation.
    pub(crate) async fn response(&mut self) -> Result<(Instant, Bytes)> {
        self.is_waiting = false;
        let call = self.call().await?;
        match call.kind {
            CallKind::Response(body) => Ok((call.at, body)),
            CallKind::Next => Err(self.failed("an invocation was requested without a response")),
            CallKind::Error(body) => Err(self.failed(&String::from_utf8_lossy(&body))),
        }
    }

    async fn call(&mut self) -> Result<Call> {
        tokio::select! {
            biased;
            call = self.api.calls.recv() => {
                call.ok_or_else(|| BenchError::Invalid("the Runtime API has stopped".to_owned()))
            }
            ended = self.child.wait() => {
                let status = ended.context(format!("cannot wait for {}", self.name))?;
                // A child of the process may keep its output open.
                timeout(OUTPUT_TIMEOUT, async { while self.readers.join_next().await.is_some() {} })
                    .await
                    .ok();
                Err(self.failed(&format!("the process ended with {status}")))
            }
            () = tokio::time::sleep(INVOCATION_TIMEOUT) => {
                Err(self.failed("no response within 90 s"))
            }
        }
    }

    pub(crate) fn processor_time_ns(&self) -> Result<u64> {
        procfs::processor_time_ns(self.id)
    }

    pub(crate) fn peak_memory_kb(&self) -> Result<u64> {
        procfs::peak_memory_kb(self.id)
    }

    /// Kills the process and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context(format!("cannot stop {}", self.name))
    }

    /// Sends SIGTERM, which lets valgrind write its profile, and waits for the end.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        let failed = format!("cannot stop {}", self.name);
        // The shell's built-in, because the program `kill` may be missing.
        let mut kill = Command::new("/bin/sh");
        kill.args(["-c", r#"kill -TERM "$0""#, &self.id.to_string()]);
        kill.status().await.context(&failed)?;
        match timeout(TERMINATION_TIMEOUT, self.child.wait()).await {
            Ok(ended) => ended.map(|_| ()).context(failed),
            Err(_) => Err(self.failed("the process did not end within 60 s of SIGTERM")),
        }
    }

    /// An error with the last output of the process.
    pub(crate) fn failed(&self, cause: &str) -> BenchError {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let output = String::from_utf8_lossy(&output);
        BenchError::Invalid(format!("{}: {cause}; its last output:\n{}", self.name, output.trim()))
    }
}

/// Reads all output, so that the process never blocks on it, and keeps the tail.
async fn keep_tail(mut stream: impl AsyncRead + Unpin, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let excess = tail.len().saturating_sub(OUTPUT_TAIL_BYTES);
        tail.drain(..excess);
    }
}
