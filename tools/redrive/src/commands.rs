//! The commands `list` and `run`.

use contracts::Topic;
use jiff::Timestamp;
use terminal::{ExitError, Terminal};

use crate::{
    brokers,
    dead_letter::DeadLetter,
    options::{ListOptions, RedriveCommand, RedriveOptions, RunOptions, Selection},
    redrive::{self, Outcome},
    table, topic, warnings,
};

pub(crate) async fn run(
    options: &RedriveOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    match &options.command {
        RedriveCommand::List(options) => list(options, clock, terminal).await,
        RedriveCommand::Run(options) => redrive(options, clock, terminal).await,
    }
}

async fn list(
    options: &ListOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    let brokers = brokers::connect(&options.brokers, clock, terminal).await?;
    let dead_letters = topic::read(&brokers).await.map_err(ExitError::start)?;
    let listed: Vec<_> = dead_letters.iter().filter(|it| is_from(it, options.topic)).collect();
    for line in table::list(&listed, clock()) {
        terminal.println(&line);
    }
    Ok(())
}

async fn redrive(
    options: &RunOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    // Before anything that takes time.
    let selection = options.selection().map_err(ExitError::start)?;
    let brokers = brokers::connect(&options.brokers, clock, terminal).await?;
    let dead_letters = topic::read(&brokers).await.map_err(ExitError::start)?;
    let selected = select(&dead_letters, &selection).map_err(ExitError::start)?;
    let now = clock();
    for warning in warnings::warnings(&selected, now) {
        terminal.println(&warning);
    }
    // A record that was named is meant; a dead letter among many may be forged.
    let oldest_ms = match selection {
        Selection::All(_) => Some(warnings::rows_since_ms(now)),
        Selection::Positions(_) => None,
    };
    let outcomes = if options.dry_run {
        redrive::dry_run(&selected, oldest_ms)
    } else {
        redrive::redrive(&brokers, &selected, oldest_ms).await.map_err(ExitError::start)?
    };
    for line in table::outcomes(&selected, &outcomes, clock()) {
        terminal.println(&line);
    }
    if outcomes.iter().any(Outcome::is_error) {
        return Err(ExitError::run("some records need attention: see the table"));
    }
    Ok(())
}

/// Returns the selected dead letters in the order of their positions.
///
/// # Errors
/// If a position has no dead letter, so that a typing error is found before anything is written.
fn select<'a>(
    dead_letters: &'a [DeadLetter],
    selection: &Selection,
) -> Result<Vec<&'a DeadLetter>, String> {
    let positions = match selection {
        Selection::All(topic) => {
            return Ok(dead_letters.iter().filter(|it| is_from(it, *topic)).collect());
        }
        Selection::Positions(positions) => positions,
    };
    for position in positions {
        if !dead_letters.iter().any(|it| it.position() == position) {
            return Err(format!(
                "no dead letter for {position}: `cargo run --bin redrive -- list` lists them"
            ));
        }
    }
    Ok(dead_letters.iter().filter(|it| positions.contains(it.position())).collect())
}

fn is_from(dead_letter: &DeadLetter, topic: Option<Topic>) -> bool {
    topic.is_none_or(|topic| dead_letter.position().topic == topic.name())
}
