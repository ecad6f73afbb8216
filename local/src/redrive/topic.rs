//! Reads `order.dead-letter` from its beginning to the ends it has now, and the records that it is
//! about where they lie.

use kafka::Brokers;
use rdkafka::message::Message;

use super::entry::{Entry, Letter, Unchecked};
use super::position::Position;
use super::reader::{ReadError, Reader};
use super::record::records;

/// The topic that every mapping of `template.yaml` gives its records up to.
pub(crate) const DEAD_LETTER_TOPIC: &str = "order.dead-letter";

/// Reads the whole topic; the entries come in the order of their positions.
///
/// # Errors
/// [`ReadError`] says what to look at.
pub(crate) async fn read(brokers: &Brokers) -> Result<Vec<Entry>, ReadError> {
    let brokers = brokers.clone();
    let read = tokio::task::spawn_blocking(move || {
        let reader = Reader::new(&brokers)?;
        let unchecked = Unchecked::of(letters(&reader)?);
        let records = records(&reader, &unchecked.positions())?;
        Ok(unchecked.check(&records))
    });
    read.await.unwrap_or_else(|cut_off| Err(ReadError::CutOff(cut_off.to_string())))
}

fn letters(reader: &Reader) -> Result<Vec<Letter>, ReadError> {
    let held = reader.held(DEAD_LETTER_TOPIC)?;
    if held.is_empty() {
        let servers = reader.servers().to_owned();
        return Err(ReadError::NoTopic { topic: DEAD_LETTER_TOPIC, servers });
    }
    let mut letters = Vec::new();
    reader.read(DEAD_LETTER_TOPIC, held, |message| letters.push(letter(message)))?;
    Ok(letters)
}

fn letter(message: &impl Message) -> Letter {
    Letter {
        position: Position::new(message.topic(), message.partition(), message.offset()),
        timestamp_ms: message.timestamp().to_millis().filter(|milliseconds| *milliseconds >= 0),
        key: message.key().map(ToOwned::to_owned),
        value: message.payload().unwrap_or_default().to_owned(),
    }
}
