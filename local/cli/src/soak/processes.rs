//! Kills and freezes processes of functions.

use std::fs;
use std::time::{Duration, Instant};

use emulator::function_host::FunctionHost;
use rustix::process::{Pid, Signal, kill_process};

/// Limit for a process that can be killed, or is in the middle of an invocation, to be there.
const TARGET_TIMEOUT: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Kills one process of a function or all, and returns how many.
pub(super) async fn kill(host: &FunctionHost, function: &str, is_all: bool) -> usize {
    let Some(process) = find(host, function, |_| true).await else { return 0 };
    if is_all {
        return host.kill(function).await;
    }
    usize::from(kill_process(process, Signal::KILL).is_ok())
}

/// Stops a process of a function in the middle of an invocation, for this time. Returns `false` if
/// none is running.
pub(super) async fn freeze(host: &FunctionHost, function: &str, lasts: Duration) -> bool {
    let Some(process) = find(host, function, is_running).await else { return false };
    if kill_process(process, Signal::STOP).is_err() {
        return false;
    }
    tokio::time::sleep(lasts).await;
    // Unless it was killed meanwhile, for its time limit or as another fault.
    if ids(host, function).any(|other| other == process) {
        kill_process(process, Signal::CONT).ok();
    }
    true
}

async fn find(host: &FunctionHost, function: &str, is_it: impl Fn(Pid) -> bool) -> Option<Pid> {
    let until = Instant::now() + TARGET_TIMEOUT;
    while Instant::now() < until {
        if let Some(process) = ids(host, function).find(|process| is_it(*process)) {
            return Some(process);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    None
}

fn ids(host: &FunctionHost, function: &str) -> impl Iterator<Item = Pid> {
    let ids = host.process_ids(function).into_iter();
    ids.filter_map(|id| Pid::from_raw(i32::try_from(id).ok()?))
}

/// False for a process that is frozen between invocations.
fn is_running(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid()));
    // The state follows the program's name in parentheses.
    let stat = stat.unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| matches!(state, 'R' | 'S' | 'D'))
}
