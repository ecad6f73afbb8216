//! The command line and environment of a measured process.

use std::process::Stdio;

use tokio::process::Command;

use crate::contender::Contender;
use crate::cpu_share::CpuShare;

/// Inherited variables that a process also has in AWS; the contender sets the others.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"];

pub(crate) fn command(contender: &Contender, share: Option<&CpuShare>) -> Command {
    let mut command = match share {
        None => Command::new(&contender.program),
        Some(share) => {
            // The shell enters the group before the exec, so that the start is limited too.
            let mut command = Command::new("/bin/sh");
            command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]);
            command.arg(share.processes_file()).arg(&contender.program);
            command
        }
    };
    command
        .args(&contender.arguments)
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env("AWS_LAMBDA_FUNCTION_NAME", &contender.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", contender.name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .envs(&contender.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
