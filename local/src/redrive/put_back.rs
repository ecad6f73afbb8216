//! How does a record get back on its topic? As it was, and then its receipt is written.
//!
//! Records go one after the other, each with its receipt: those of one partition keep their order,
//! and a crash leaves at most one record without a receipt.

use std::time::Duration;

use kafka_client::{Brokers, Context};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use super::dead_letter::{self, Record};
use super::entry::{Entry, State};
use super::position::Position;
use super::receipt::Receipt;
use super::topic::DEAD_LETTER_TOPIC;

/// How long the brokers may take to confirm a record.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30);

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
pub(crate) fn rehearse(entries: &[&Entry]) -> Vec<Outcome> {
    let rehearsed = |entry: &&Entry| nothing_to_do(entry).unwrap_or(Outcome::WouldPutBack);
    entries.iter().map(rehearsed).collect()
}

/// Puts these entries back, in their order; the outcomes stand in the same order.
///
/// # Errors
/// When the client cannot be set up.
pub(crate) async fn put_back(
    brokers: &Brokers,
    entries: &[&Entry],
) -> Result<Vec<Outcome>, KafkaError> {
    let producer = Producer::new(brokers)?;
    let mut outcomes = Vec::with_capacity(entries.len());
    let mut before: Option<(&Record, Position)> = None;
    let mut silent = false;
    for entry in entries {
        let State::Waits(record) = entry.state() else {
            outcomes.extend(nothing_to_do(entry));
            continue;
        };
        let delivered = match &before {
            // Two functions gave up the same record: one copy reaches both.
            Some((same, position)) if *same == record => Ok(position.clone()),
            // Each would take its whole time to fail.
            _ if silent => Err("the brokers did not answer for the one before".to_owned()),
            _ => producer.put(record).await.map_err(|error| {
                silent = error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut);
                producer.told(&error)
            }),
        };
        outcomes.push(match delivered {
            Err(reason) => Outcome::NotPutBack(reason),
            Ok(position) => {
                before = Some((record, position.clone()));
                match producer.remember(entry, &position).await {
                    Ok(()) => Outcome::PutBack(position),
                    Err(reason) => Outcome::PutBackWithoutReceipt(position, reason),
                }
            }
        });
    }
    Ok(outcomes)
}

/// The outcome of an entry that nothing is written for; none where it is to be put back.
fn nothing_to_do(entry: &Entry) -> Option<Outcome> {
    match entry.state() {
        State::Waits(_) => None,
        State::WasPutBack(at_ms) => Some(Outcome::WasPutBack(at_ms)),
        State::Foreign => Some(Outcome::NotPutBack("no topic of the workflow".to_owned())),
        State::Unreadable(reason) => Some(Outcome::NotPutBack(format!("unreadable: {reason}"))),
    }
}

struct Producer {
    client: FutureProducer<Context>,
    context: Context,
}

impl Producer {
    fn new(brokers: &Brokers) -> Result<Self, KafkaError> {
        let context = brokers.context();
        let client = brokers
            // As the functions write, so that a key gives the partition that it gave before.
            .producer_config(CONFIRMED_WITHIN)
            .set("client.id", "redrive")
            // One record at a time: there is nothing to gather.
            .set("linger.ms", "0")
            // It fitted its topic before; whether it still does is for the brokers to say.
            .set("message.max.bytes", "16000000")
            .create_with_context(context.clone())?;
        Ok(Self { client, context })
    }

    /// Writes the record as it was; returns where it lies now.
    ///
    /// Its time is now: with the time that it had, a mapping would find it too old and give it up
    /// again at once.
    async fn put(&self, record: &Record) -> Result<Position, KafkaError> {
        let topic = record.position.topic.as_str();
        self.send(FutureRecord {
            topic,
            partition: record.key.is_none().then_some(record.position.partition),
            payload: record.value.as_deref(),
            key: record.key.as_deref(),
            timestamp: None,
            headers: headers(&record.headers),
        })
        .await
    }

    /// Writes the receipt, onto the partition of the dead letter.
    async fn remember(&self, entry: &Entry, put_back_as: &Position) -> Result<(), String> {
        let receipt = Receipt::new(entry.position(), &entry.letter, put_back_as);
        let value = receipt.write().map_err(|error| error.to_string())?;
        let sent = self.send(FutureRecord {
            topic: DEAD_LETTER_TOPIC,
            partition: Some(entry.letter.partition),
            payload: Some(&value),
            key: entry.letter_key.as_deref(),
            timestamp: None,
            headers: None,
        });
        sent.await.map(drop).map_err(|error| self.told(&error))
    }

    /// What went wrong, and what the brokers said before.
    fn told(&self, error: &KafkaError) -> String {
        let trouble = self.context.take_trouble();
        trouble.map_or_else(|| error.to_string(), |trouble| format!("{error}: {trouble}"))
    }

    async fn send(&self, record: FutureRecord<'_, [u8], [u8]>) -> Result<Position, KafkaError> {
        let topic = record.topic;
        let sent = self.client.send(record, Timeout::After(CONFIRMED_WITHIN)).await;
        sent.map(|delivery| Position::new(topic, delivery.partition, delivery.offset))
            .map_err(|(error, _)| error)
    }
}

fn headers(headers: &[dead_letter::Header]) -> Option<OwnedHeaders> {
    let all = headers.iter().fold(OwnedHeaders::new(), |all, (name, value)| {
        all.insert(Header { key: name, value: value.as_ref() })
    });
    (!headers.is_empty()).then_some(all)
}
