//! Reads `order.dead-letter` from its beginning to its current end, and the records that were given
//! up from their own topics.

use std::time::Instant;

use rdkafka::message::Message;

use crate::cluster::Cluster;
use crate::dead_letter::{DeadLetter, Unverified};
use crate::message::DeadLetterMessage;
use crate::position::Position;
use crate::reader::{ReadError, Reader};
use crate::record::records;

/// Reads the whole topic, and returns its dead letters in the order of their positions.
///
/// # Errors
/// Also if the deadline passes.
pub(crate) async fn read(
    cluster: &Cluster,
    deadline: Option<Instant>,
) -> Result<Vec<DeadLetter>, ReadError> {
    let Cluster { brokers, topics } = cluster.clone();
    let read = tokio::task::spawn_blocking(move || {
        let reader = Reader::new(&brokers, deadline)?;
        let unverified = Unverified::of(messages(&reader, &topics.dead_letters())?, &topics);
        let records = records(&reader, &unverified.positions())?;
        Ok(unverified.verify(&records))
    });
    read.await.unwrap_or_else(|error| Err(ReadError::Cancelled(error.to_string())))
}

fn messages(reader: &Reader, topic: &str) -> Result<Vec<DeadLetterMessage>, ReadError> {
    let available = reader.offsets(topic)?;
    if available.is_empty() {
        let servers = reader.servers().to_owned();
        return Err(ReadError::NoTopic { topic: topic.to_owned(), servers });
    }
    let mut messages = Vec::new();
    reader.read(topic, available, |it| messages.push(message(it)))?;
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
