//! The command of a function's process.

use std::process::Stdio;

use tokio::process::Command;

use super::HostedFunction;

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

pub(super) fn command(function: &HostedFunction, number: u64) -> Command {
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
