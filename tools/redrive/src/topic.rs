//! Reads `order.dead-letter` from its beginning to its current end, and the records that were given
//! up from their own topics.

use kafka::Brokers;
use rdkafka::message::Message;

use crate::dead_letter::{DeadLetter, Unverified};
use crate::message::DeadLetterMessage;
use crate::position::Position;
use crate::reader::{ReadError, Reader};
use crate::record::records;

/// The on-failure destination of every mapping in `template.yaml`.
pub(crate) const DEAD_LETTER_TOPIC: &str = "order.dead-letter";

/// Reads the whole topic, and returns its dead letters in the order of their positions.
pub(crate) async fn read(brokers: &Brokers) -> Result<Vec<DeadLetter>, ReadError> {
    let brokers = brokers.clone();
    let read = tokio::task::spawn_blocking(move || {
        let reader = Reader::new(&brokers)?;
        let unverified = Unverified::of(messages(&reader)?);
        let records = records(&reader, &unverified.positions())?;
        Ok(unverified.verify(&records))
    });
    read.await.unwrap_or_else(|error| Err(ReadError::Cancelled(error.to_string())))
}

fn messages(reader: &Reader) -> Result<Vec<DeadLetterMessage>, ReadError> {
    let available = reader.offsets(DEAD_LETTER_TOPIC)?;
    if available.is_empty() {
        let servers = reader.servers().to_owned();
        return Err(ReadError::NoTopic { topic: DEAD_LETTER_TOPIC, servers });
    }
    let mut messages = Vec::new();
    reader.read(DEAD_LETTER_TOPIC, available, |it| messages.push(message(it)))?;
    Ok(messages)
}

fn message(message: &impl Message) -> DeadLetterMessage {
    DeadLetterMessage {
        position: Position::new(message.topic(), message.partition(), message.offset()),
        timestamp_ms: message.timestamp().to_millis().filter(|milliseconds| *milliseconds >= 0),
        key: message.key().map(ToOwned::to_owned),
        value: message.payload().unwrap_or_default().to_owned(),
    }
}
