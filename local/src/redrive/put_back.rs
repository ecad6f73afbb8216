//! Puts records back on their topics as they lie there, and writes a receipt for each.
//!
//! Records go one after the other, each with its receipt: those of one partition keep their order,
//! and a crash leaves at most one record without a receipt.

use std::time::Duration;

use kafka::{Brokers, OutgoingRecord, ProduceError, Producer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::entry::{Entry, State};
use super::position::Position;
use super::receipt::Receipt;
use super::record::Record;
use super::topic::DEAD_LETTER_TOPIC;
use crate::fault::chain;

/// The limit for the brokers to confirm a record.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The time before which records are left, in milliseconds since the epoch; none where each was named.
pub(crate) type Limit = Option<i64>;

/// What came of an entry that was to be put back.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The record lies there now.
    PutBack(Position),
    /// It would be put back, had it not been a dry run.
    WouldPutBack,
    /// It was put back before, at these milliseconds since the epoch.
    WasPutBack(i64),
    /// The record lies there now, and nothing remembers it.
    PutBackWithoutReceipt(Position, String),
    /// It was not put back, for this reason.
    NotPutBack(String),
}

impl Outcome {
    /// Whether a person has to look at it.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::PutBackWithoutReceipt(..) | Self::NotPutBack(_))
    }
}

/// What would come of these entries; writes nothing.
pub(crate) fn rehearse(entries: &[&Entry], limit: Limit) -> Vec<Outcome> {
    let rehearsed = |entry: &&Entry| nothing_to_do(entry, limit).unwrap_or(Outcome::WouldPutBack);
    entries.iter().map(rehearsed).collect()
}

/// Puts these entries back, in their order; the outcomes stand in the same order.
///
/// # Errors
/// When the client cannot be set up.
pub(crate) async fn put_back(
    brokers: &Brokers,
    entries: &[&Entry],
    limit: Limit,
) -> Result<Vec<Outcome>, KafkaError> {
    let producer = Producer::new(brokers, DELIVERY_TIMEOUT)?;
    let mut outcomes = Vec::with_capacity(entries.len());
    let mut before: Option<(&Position, Position)> = None;
    let mut silent = false;
    for entry in entries {
        let record = match (nothing_to_do(entry, limit), entry.record()) {
            (None, Some(record)) => record,
            (outcome, _) => {
                outcomes.extend(outcome);
                continue;
            }
        };
        let delivered = match &before {
            // Two functions gave up the same record: one copy reaches both.
            Some((same, position)) if **same == record.position => Ok(position.clone()),
            // Each would take its whole time to fail.
            _ if silent => Err("the brokers did not answer for the one before".to_owned()),
            _ => put(&producer, record).await.map_err(|error| {
                silent = error.code() == Some(RDKafkaErrorCode::MessageTimedOut);
                chain(&error)
            }),
        };
        outcomes.push(match delivered {
            Err(reason) => Outcome::NotPutBack(reason),
            Ok(position) => {
                before = Some((&record.position, position.clone()));
                match write_receipt(&producer, entry, &position).await {
                    Ok(()) => Outcome::PutBack(position),
                    Err(reason) => Outcome::PutBackWithoutReceipt(position, reason),
                }
            }
        });
    }
    Ok(outcomes)
}

/// The outcome of an entry that nothing is written for; none where it is to be put back.
fn nothing_to_do(entry: &Entry, limit: Limit) -> Option<Outcome> {
    match entry.state() {
        State::Waits(record) => is_before(record, limit).then(|| {
            Outcome::NotPutBack("its stages have forgotten it: see the warning".to_owned())
        }),
        State::WasPutBack(at_ms) | State::Gone(Some(at_ms)) => Some(Outcome::WasPutBack(at_ms)),
        State::Gone(None) => {
            Some(Outcome::NotPutBack("no record lies there (any more)".to_owned()))
        }
        State::Foreign => Some(Outcome::NotPutBack("no topic of the workflow".to_owned())),
        State::Unreadable(reason) => Some(Outcome::NotPutBack(format!("unreadable: {reason}"))),
    }
}

fn is_before(record: &Record, limit: Limit) -> bool {
    limit.zip(record.timestamp_ms).is_some_and(|(limit, written_ms)| written_ms < limit)
}

/// Writes the record as it is; returns its new position.
///
/// Its time is now: with the time that it had, a mapping would find it too old and give it up
/// again at once.
async fn put(producer: &Producer, record: &Record) -> Result<Position, ProduceError> {
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

/// Writes the receipt, onto the partition of the dead letter.
async fn write_receipt(
    producer: &Producer,
    entry: &Entry,
    put_back_as: &Position,
) -> Result<(), String> {
    let receipt = Receipt::new(entry.position(), &entry.letter, put_back_as);
    let value = receipt.write().map_err(|error| error.to_string())?;
    let outgoing = OutgoingRecord {
        topic: DEAD_LETTER_TOPIC,
        partition: Some(entry.letter.partition),
        key: entry.letter_key.as_deref(),
        value: Some(&value),
        headers: &[],
    };
    send(producer, outgoing).await.map(drop).map_err(|error| chain(&error))
}

async fn send(producer: &Producer, record: OutgoingRecord<'_>) -> Result<Position, ProduceError> {
    let (partition, offset) = producer.send(record)?.position().await?;
    Ok(Position::new(record.topic, partition, offset))
}
