//! The commands `list` and `run`, as both programs have them.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::error::KafkaError;

use crate::{
    cluster::Cluster,
    dead_letter::DeadLetter,
    options::{ListOptions, RunOptions},
    reader::ReadError,
    redrive::{Limits, Redrive, Rules, redrive},
    selection::Selection,
    topic, warnings,
    writer::Writer,
};

/// The limits of the program that runs a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// `None`: unlimited.
    pub(crate) deadline: Option<Instant>,
    /// For the brokers to confirm one record.
    pub(crate) delivery_timeout: Duration,
    /// The most records of one result.
    pub(crate) max: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    InvalidOptions(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot set up the Kafka client")]
    Client(#[source] KafkaError),
}

/// Some of the dead letters, in the order of their positions.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// How many follow.
    pub(crate) left: usize,
}

pub(crate) async fn list(
    options: &ListOptions,
    cluster: &Cluster,
    budget: Budget,
    now: Timestamp,
) -> Result<Page, CommandError> {
    let filter = options.filter(now).map_err(CommandError::InvalidOptions)?;
    let mut dead_letters = topic::read(cluster, budget.deadline).await?;
    dead_letters.retain(|it| filter.matches(it));
    let end = page_end(&dead_letters, most(options.max.map(Into::into), budget));
    let left = dead_letters.len() - end;
    dead_letters.truncate(end);
    Ok(Page { dead_letters, left })
}

/// The end of a page of about `max` dead letters. Those of one record are on one page, because the
/// next one begins after their position.
fn page_end(dead_letters: &[DeadLetter], max: Option<usize>) -> usize {
    let max = max.unwrap_or(usize::MAX).min(dead_letters.len());
    let Some(last) = max.checked_sub(1).and_then(|index| dead_letters.get(index)) else {
        return max;
    };
    let rest = dead_letters.iter().skip(max);
    max + rest.take_while(|it| it.position() == last.position()).count()
}

/// The dead letters of the topic, for [`run`].
pub(crate) async fn selected(
    options: &RunOptions,
    cluster: &Cluster,
    budget: Budget,
    now: Timestamp,
) -> Result<(Selection, Vec<DeadLetter>), CommandError> {
    // Before anything that takes time.
    let selection = options.selection(now).map_err(CommandError::InvalidOptions)?;
    let dead_letters = topic::read(cluster, budget.deadline).await?;
    let selected = selection.of(dead_letters).map_err(CommandError::InvalidOptions)?;
    Ok((selection, selected))
}

pub(crate) async fn run<'a>(
    options: &RunOptions,
    (selection, dead_letters): &'a (Selection, Vec<DeadLetter>),
    cluster: &Cluster,
    budget: Budget,
    now: Timestamp,
) -> Result<Redrive<'a>, CommandError> {
    // A record that was named is meant; a dead letter among many may be forged.
    let oldest_ms = match selection {
        Selection::Matching(_) => Some(warnings::rows_since_ms(now)),
        Selection::Positions(_) => None,
    };
    let rules = Rules { oldest_ms, allowed_returns: options.allowed_returns() };
    let limits = Limits {
        max: most(options.max.map(Into::into), budget),
        // One record is two deliveries: itself and its receipt.
        deadline: budget.deadline.map(|deadline| (deadline, budget.delivery_timeout * 2)),
    };
    let writer = if options.dry_run {
        None
    } else {
        let writer = Writer::new(&cluster.brokers, budget.delivery_timeout);
        Some(writer.map_err(CommandError::Client)?)
    };
    Ok(redrive(writer, dead_letters, rules, limits).await)
}

fn most(wanted: Option<usize>, budget: Budget) -> Option<usize> {
    match (wanted, budget.max) {
        (Some(wanted), Some(max)) => Some(wanted.min(max)),
        (wanted, max) => wanted.or(max),
    }
}
