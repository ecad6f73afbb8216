//! Lists dead letters and redrives them: publishes their records on their topics again.
//!
//! A record is published as it is on its topic, whatever its dead letter contains, and once: a
//! receipt on the dead-letter topic marks it as redriven (`a_second_redrive_changes_nothing`). If a
//! run ends between a record and its receipt, the next run publishes the record once more. The
//! stages' rows absorb it, as any redelivery: `every_stage_fed_twice_changes_nothing`.
//!
//! Exit codes: 0 success, 1 a record needs attention, 2 the command could not start.

mod brokers;
mod commands;
mod dead_letter;
mod format;
mod message;
mod options;
mod position;
mod reader;
mod receipt;
mod record;
mod redrive;
mod table;
mod topic;
mod warnings;

use std::{env, process::ExitCode};

use jiff::Timestamp;
use terminal::{ExitError, Parsed, Terminal, parse};

use crate::options::RedriveOptions;

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    terminal.exit_code(run(&terminal).await)
}

async fn run(terminal: &Terminal) -> Result<(), ExitError> {
    match parse::<RedriveOptions>(env::args_os(), "cargo run --bin redrive --")
        .map_err(ExitError::start)?
    {
        Parsed::Help(text) => {
            terminal.println(&text);
            Ok(())
        }
        Parsed::Run(options) => commands::run(&options, Timestamp::now, terminal).await,
    }
}
