//! The signals and the exit of a child process.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::sync::mpsc;

/// Waits for the exit, and sends these signals meanwhile.
pub(super) async fn exit_status(
    mut child: Child,
    mut signals: mpsc::UnboundedReceiver<Signal>,
) -> String {
    loop {
        tokio::select! {
            ended = child.wait() => {
                return ended.map_or_else(|error| error.to_string(), lambda_status);
            }
            Some(signal) = signals.recv() => {
                if let Some(id) = child.id() {
                    signal_group(id, signal);
                }
            }
        }
    }
}

/// Signals a process and its children. The id is not reused before `Child::wait` has returned.
pub(super) fn signal_group(process_id: u32, signal: Signal) {
    if let Some(group) = i32::try_from(process_id).ok().and_then(Pid::from_raw) {
        // Fails only if the process has already exited.
        kill_process_group(group, signal).ok();
    }
}

/// As Lambda writes it: `exit status 1`, `signal: killed`.
fn lambda_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => status.to_string(),
    }
}
