//! The signals that end the program: in order at the first, at once at the second.

use std::io;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use emulator::function_host;
use futures::stream::{SelectAll, StreamExt};
use terminal::Terminal;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Limit for the last line: a terminal may not take it.
const LINE_TIMEOUT: Duration = Duration::from_millis(500);

/// Becomes `true` at the first signal.
#[derive(Clone)]
pub(crate) struct Signals(watch::Receiver<bool>);

impl Signals {
    /// Listens on a thread of its own, so that a program that hangs can be ended.
    pub(crate) fn listen(terminal: &Terminal) -> io::Result<Self> {
        let (received, signals) = watch::channel(false);
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let mut kinds = {
            let _guard = runtime.enter();
            kinds()?
        };
        let terminal = terminal.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                kinds.next().await;
                received.send_replace(true);
                if let Some(kind) = kinds.next().await {
                    stop_at_once(kind, terminal);
                }
            });
        });
        Ok(Self(signals))
    }

    /// Waits for the first signal.
    pub(crate) async fn received(&self, terminal: &Terminal) {
        let mut received = self.0.clone();
        // Fails only if the thread has ended.
        received.wait_for(|received| *received).await.ok();
        terminal.eprintln("Stopping; a second signal stops at once.");
    }
}

/// The numbers of the signals.
type Kinds = SelectAll<futures::stream::BoxStream<'static, i32>>;

fn kinds() -> io::Result<Kinds> {
    let mut kinds = Kinds::new();
    for kind in
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit(), SignalKind::hangup()]
    {
        let number = kind.as_raw_value();
        // `nohup` ignores it, so that the program outlives its terminal.
        if kind == SignalKind::hangup() && is_ignored(number) {
            continue;
        }
        let signals = futures::stream::unfold(signal(kind)?, async |mut signal: Signal| {
            signal.recv().await.map(|()| ((), signal))
        });
        kinds.push(signals.map(move |()| number).boxed());
    }
    Ok(kinds)
}

/// Linux only; elsewhere false.
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> number.saturating_sub(1) & 1 == 1)
}

/// Ends the functions and the program, with the shells' exit code for this signal.
fn stop_at_once(number: i32, terminal: Terminal) -> ! {
    function_host::kill_all();
    let (printed, is_printed) = mpsc::channel();
    thread::spawn(move || {
        terminal.eprintln("Stopped at once: work in flight was cut off, and nothing was kept.");
        printed.send(()).ok();
    });
    is_printed.recv_timeout(LINE_TIMEOUT).ok();
    process::exit(number.saturating_add(128))
}
