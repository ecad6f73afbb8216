//! The command `redrive`: arguments, exit codes, tables.

use std::{env, time::Duration};

use jiff::Timestamp;
use terminal::{ExitError, Parsed, Terminal, parse};

use crate::{
    arguments::{Arguments, Command, ListArguments, RunArguments},
    brokers,
    commands::{self, Budget, CommandError},
    outcome::Outcome,
    table,
};

/// The command has no deadline, and a terminal takes any list.
const BUDGET: Budget =
    Budget { deadline: None, delivery_timeout: Duration::from_secs(30), max: None };

/// Runs the command that the process's arguments give.
///
/// # Errors
/// The message and the exit code of the process.
pub async fn run(terminal: &Terminal, clock: fn() -> Timestamp) -> Result<(), ExitError> {
    let arguments = parse::<Arguments>(env::args_os(), "cargo run --bin redrive --");
    match arguments.map_err(ExitError::start)? {
        Parsed::Help(text) => {
            terminal.println(&text);
            Ok(())
        }
        Parsed::Run(Arguments { command: Command::List(list) }) => {
            list_dead_letters(&list, clock, terminal).await
        }
        Parsed::Run(Arguments { command: Command::Run(run) }) => {
            redrive(&run, clock, terminal).await
        }
    }
}

async fn list_dead_letters(
    ListArguments { options, brokers }: &ListArguments,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    let cluster = brokers::connect(brokers, clock, terminal).await?;
    let page = commands::list(options, &cluster, BUDGET, clock()).await;
    for line in table::list(&page.map_err(ExitError::start)?, clock()) {
        terminal.println(&line);
    }
    Ok(())
}

async fn redrive(
    RunArguments { options, brokers }: &RunArguments,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    // Before the brokers, whose absence would hide it.
    options.selection(clock()).map_err(CommandError::InvalidOptions).map_err(ExitError::start)?;
    let cluster = brokers::connect(brokers, clock, terminal).await?;
    let selected = commands::selected(options, &cluster, BUDGET, clock()).await;
    let selected = selected.map_err(ExitError::start)?;
    for warning in table::warning_lines(&selected.1, clock()) {
        terminal.println(&warning);
    }
    let run = commands::run(options, &selected, &cluster, BUDGET, clock()).await;
    let run = run.map_err(ExitError::start)?;
    for line in table::outcomes(&run, clock()) {
        terminal.println(&line);
    }
    if run.outcomes.iter().map(|(_, outcome)| outcome).any(Outcome::is_error) {
        return Err(ExitError::run("some records need attention: see the table"));
    }
    Ok(())
}
