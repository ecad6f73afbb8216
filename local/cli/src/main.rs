//! The program behind `cargo run`. `demo` sends orders through the whole workflow and checks the
//! books; `soak` does the same for minutes under all faults; `up` keeps the workflow running and shows it on a page; `event` makes event files.
//!
//! Exit codes: 0 success, 1 the books do not balance or the run failed, 2 the start failed.

mod archive;
mod boot;
mod cli;
mod demo;
mod event;
mod fixtures;
mod page;
mod signals;
mod soak;
mod up;

use std::env;
use std::process::ExitCode;

use terminal::{ExitError, Parsed, Terminal, UsageError};
use tracing_subscriber::EnvFilter;

use crate::cli::Command;
use crate::signals::Signals;

/// Warnings only: the functions log to files, and the error at exit names failures of brokers and
/// credentials.
const LOG_FILTER: &str = "warn,dynoxide=error,kafka=off,aws_config=error";

/// Demo and soak cause outages, and each would be a warning.
const OUTAGES_LOG_FILTER: &str = "error,kafka=off";

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    let parsed = cli::parse(env::args_os());
    let default = match &parsed {
        Ok(Parsed::Run(Command::Demo(options))) if !options.calm => OUTAGES_LOG_FILTER,
        Ok(Parsed::Run(Command::Soak(_))) => OUTAGES_LOG_FILTER,
        _ => LOG_FILTER,
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(terminal.clone()).init();
    terminal.exit_code(run(parsed, &terminal).await)
}

async fn run(
    parsed: Result<Parsed<Command>, UsageError>,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    let listen = || Signals::listen(terminal).map_err(ExitError::start);
    match parsed.map_err(ExitError::start)? {
        Parsed::Help(text) => {
            terminal.println(&text);
            Ok(())
        }
        Parsed::Run(Command::Demo(options)) => {
            Box::pin(demo::run(&options, terminal, &listen()?)).await
        }
        Parsed::Run(Command::Event(options)) => event::run(&options, terminal),
        Parsed::Run(Command::Soak(options)) => {
            Box::pin(soak::run(&options, terminal, &listen()?)).await
        }
        Parsed::Run(Command::Up(options)) => {
            Box::pin(up::run(&options, terminal, &listen()?)).await
        }
    }
}
