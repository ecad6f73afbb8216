//! Publishes records on their topics again, with a receipt for each.
//!
//! One record at a time, each followed by its receipt: records of a partition keep their order, and
//! a crash leaves at most one record without a receipt.

use std::time::Duration;

use kafka::{Brokers, OutgoingRecord, ProduceError, Producer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::dead_letter::{DeadLetter, State};
use crate::position::Position;
use crate::receipt::Receipt;
use crate::record::Record;
use crate::topic::DEAD_LETTER_TOPIC;
use terminal::error_chain;

/// The limit for the brokers to confirm a record.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Published at this position.
    Redriven(Position),
    /// The outcome of a dry run.
    WouldRedrive,
    /// Redriven by an earlier run, at this time in milliseconds since the epoch.
    AlreadyRedriven(i64),
    /// Published at this position; the reason is why its receipt is missing.
    RedrivenWithoutReceipt(Position, String),
    /// The reason.
    NotRedriven(String),
}

impl Outcome {
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::RedrivenWithoutReceipt(..) | Self::NotRedriven(_))
    }
}

/// Returns the outcomes of a redrive, and writes nothing.
///
/// Records written before `oldest_ms`, in milliseconds since the epoch, are skipped.
pub(crate) fn dry_run(dead_letters: &[&DeadLetter], oldest_ms: Option<i64>) -> Vec<Outcome> {
    let outcome = |it: &&DeadLetter| skip(it, oldest_ms).unwrap_or(Outcome::WouldRedrive);
    dead_letters.iter().map(outcome).collect()
}

/// Redrives these dead letters in order, and returns one outcome for each.
///
/// Records written before `oldest_ms`, in milliseconds since the epoch, are skipped.
///
/// # Errors
/// If the client cannot be set up.
pub(crate) async fn redrive(
    brokers: &Brokers,
    dead_letters: &[&DeadLetter],
    oldest_ms: Option<i64>,
) -> Result<Vec<Outcome>, KafkaError> {
    let producer = Producer::new(brokers, DELIVERY_TIMEOUT)?;
    let mut outcomes = Vec::with_capacity(dead_letters.len());
    let mut previous: Option<(&Position, Position)> = None;
    let mut timed_out = false;
    for dead_letter in dead_letters {
        let record = match (skip(dead_letter, oldest_ms), dead_letter.record()) {
            (None, Some(record)) => record,
            (outcome, _) => {
                outcomes.extend(outcome);
                continue;
            }
        };
        let delivered = match &previous {
            // Two functions gave up this record: one copy reaches both.
            Some((same, position)) if **same == record.position => Ok(position.clone()),
            // Each further record would wait for its own timeout.
            _ if timed_out => Err("the brokers did not respond to the previous record".to_owned()),
            _ => publish(&producer, record).await.map_err(|error| {
                timed_out = error.code() == Some(RDKafkaErrorCode::MessageTimedOut);
                error_chain(&error)
            }),
        };
        outcomes.push(match delivered {
            Err(reason) => Outcome::NotRedriven(reason),
            Ok(position) => {
                previous = Some((&record.position, position.clone()));
                match write_receipt(&producer, dead_letter, &position).await {
                    Ok(()) => Outcome::Redriven(position),
                    Err(reason) => Outcome::RedrivenWithoutReceipt(position, reason),
                }
            }
        });
    }
    Ok(outcomes)
}

/// The outcome of a dead letter that is not to be redriven; `None` if it is.
fn skip(dead_letter: &DeadLetter, oldest_ms: Option<i64>) -> Option<Outcome> {
    match dead_letter.state() {
        State::Pending(record) => is_older(record, oldest_ms).then(|| {
            Outcome::NotRedriven("it is older than its stages' rows: see the warning".to_owned())
        }),
        State::Redriven(at_ms) | State::Gone(Some(at_ms)) => Some(Outcome::AlreadyRedriven(at_ms)),
        State::Gone(None) => Some(Outcome::NotRedriven("no record at this position".to_owned())),
        State::Foreign => Some(Outcome::NotRedriven("not a topic of the workflow".to_owned())),
        State::Unreadable(reason) => Some(Outcome::NotRedriven(format!("unreadable: {reason}"))),
    }
}

fn is_older(record: &Record, oldest_ms: Option<i64>) -> bool {
    oldest_ms.zip(record.timestamp_ms).is_some_and(|(oldest, written)| written < oldest)
}

/// Publishes the record unchanged; returns its new position.
///
/// Its timestamp is the current time: with the original one, a mapping would give it up again for
/// its age.
async fn publish(producer: &Producer, record: &Record) -> Result<Position, ProduceError> {
    let headers: Vec<(&str, Option<&[u8]>)> =
        record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    let outgoing = OutgoingRecord {
        topic: &record.position.topic,
        partition: record.key.is_none().then_some(record.position.partition),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
    };
    send(producer, outgoing).await
}

/// Writes the receipt on the partition of the dead letter.
async fn write_receipt(
    producer: &Producer,
    dead_letter: &DeadLetter,
    redriven_as: &Position,
) -> Result<(), String> {
    let receipt = Receipt::new(dead_letter.position(), &dead_letter.message, redriven_as);
    let value = receipt.write().map_err(|error| error.to_string())?;
    let outgoing = OutgoingRecord {
        topic: DEAD_LETTER_TOPIC,
        partition: Some(dead_letter.message.partition),
        key: dead_letter.message_key.as_deref(),
        value: Some(&value),
        headers: &[],
    };
    send(producer, outgoing).await.map(drop).map_err(|error| error_chain(&error))
}

async fn send(producer: &Producer, record: OutgoingRecord<'_>) -> Result<Position, ProduceError> {
    let (partition, offset) = producer.send(record)?.position().await?;
    Ok(Position::new(record.topic, partition, offset))
}
