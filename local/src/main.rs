//! The program behind `cargo run`: `demo` sends orders through the whole workflow and checks the
//! books, `up` keeps the workflow running and shows it on a page, `redrive` puts back what was given
//! up.
//!
//! Exit status: 0 all is well, 1 the books do not balance, a record could not be put back or the
//! run got stuck, 2 it could not start as asked.

mod cli;
mod demo;
mod fault;
mod page;
mod readable;
mod redrive;
mod start;
mod terminal;
mod up;
mod values;

use std::env;
use std::process::ExitCode;

use jiff::Timestamp;
use tracing_subscriber::EnvFilter;

use crate::cli::{Command, Reading};
use crate::fault::Fault;
use crate::terminal::Terminal;

/// Warnings only: what the functions have to say is in their log files, and what goes wrong on the
/// way to the brokers or to credentials is in the one line that the program ends with.
const LOGGED: &str = "warn,dynoxide=error,kafka=off,aws_config=error";

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(terminal.clone()).init();
    match run(&terminal).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            if let Some(message) = fault.message() {
                terminal.complain(&message);
            }
            fault.status()
        }
    }
}

async fn run(terminal: &Terminal) -> Result<(), Fault> {
    match cli::read(env::args_os()).map_err(Fault::start)? {
        Reading::Told(text) => {
            terminal.say(&text);
            Ok(())
        }
        Reading::Asked(Command::Demo(options)) => Box::pin(demo::run(&options, terminal)).await,
        Reading::Asked(Command::Up(options)) => Box::pin(up::run(&options, terminal)).await,
        Reading::Asked(Command::Redrive(options)) => {
            Box::pin(redrive::run(&options, Timestamp::now, terminal)).await
        }
    }
}
