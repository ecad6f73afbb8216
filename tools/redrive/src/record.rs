//! The records that dead letters and receipts name, read from their topics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use rdkafka::message::{Headers, Message};

use crate::position::Position;
use crate::reader::{ReadError, Reader};

/// The largest gap that is read over: a new fetch would cost more.
const MAX_GAP: i64 = 1_000;

/// Name and value; `None` for a null value.
pub(crate) type Header = (String, Option<Vec<u8>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) position: Position,
    /// Milliseconds since the epoch.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// In order, with repeated names.
    pub(crate) headers: Vec<Header>,
}

impl Record {
    fn of(message: &impl Message) -> Self {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let headers = headers.map(|it| (it.key.to_owned(), it.value.map(ToOwned::to_owned)));
        Self {
            position: Position::new(message.topic(), message.partition(), message.offset()),
            timestamp_ms: message.timestamp().to_millis().filter(|milliseconds| *milliseconds >= 0),
            key: message.key().map(ToOwned::to_owned),
            value: message.payload().map(ToOwned::to_owned),
            headers: headers.collect(),
        }
    }

    /// Same topic and content, and written later.
    pub(crate) fn is_later_copy_of(&self, other: &Self) -> bool {
        let is_later = if self.position.partition == other.position.partition {
            self.position.offset > other.position.offset
        } else {
            self.timestamp_ms > other.timestamp_ms
        };
        is_later
            && self.position.topic == other.position.topic
            && (&self.key, &self.value, &self.headers) == (&other.key, &other.value, &other.headers)
    }
}

/// Reads the records at these positions, as far as they exist.
pub(crate) fn records(
    reader: &Reader,
    wanted: &BTreeSet<Position>,
) -> Result<HashMap<Position, Record>, ReadError> {
    let mut by_topic: BTreeMap<&str, BTreeMap<i32, Vec<i64>>> = BTreeMap::new();
    for Position { topic, partition, offset } in wanted {
        by_topic.entry(topic).or_default().entry(*partition).or_default().push(*offset);
    }
    let mut records = HashMap::new();
    for (topic, partitions) in by_topic {
        let available = reader.offsets(topic)?;
        for (partition, offsets) in partitions {
            let Some(available) = available.get(&partition) else { continue };
            let offsets = offsets.into_iter().filter(|offset| available.contains(offset));
            for span in spans(offsets) {
                reader.read(topic, BTreeMap::from([(partition, span)]), |message| {
                    let record = Record::of(message);
                    if wanted.contains(&record.position) {
                        records.insert(record.position.clone(), record);
                    }
                })?;
            }
        }
    }
    Ok(records)
}

/// Spans that cover these offsets, which must ascend.
fn spans(offsets: impl Iterator<Item = i64>) -> Vec<Range<i64>> {
    let mut spans: Vec<Range<i64>> = Vec::new();
    for offset in offsets {
        let end = offset.saturating_add(1);
        match spans.last_mut() {
            Some(last) if offset <= last.end.saturating_add(MAX_GAP) => last.end = end,
            _ => spans.push(offset..end),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64, timestamp_ms: i64, value: &str) -> Record {
        Record {
            position: Position::new("order.created", partition, offset),
            timestamp_ms: Some(timestamp_ms),
            key: Some(b"ord-1".to_vec()),
            value: Some(value.into()),
            headers: vec![("ce_id".to_owned(), None)],
        }
    }

    #[test]
    fn nearby_offsets_are_read_together() {
        let bounds = |offsets: &[i64]| {
            let spans = spans(offsets.iter().copied()).into_iter();
            spans.map(|span| (span.start, span.end)).collect::<Vec<_>>()
        };
        let near = MAX_GAP + 1;
        assert_eq!(bounds(&[3, 4, 9, 9 + near]), [(3, 9 + near + 1)]);
        assert_eq!(bounds(&[0, near + 1]), [(0, 1), (near + 1, near + 2)]);
        assert!(bounds(&[]).is_empty());
    }

    #[test]
    fn a_copy_has_the_same_content_and_comes_later() {
        let original = record(1, 5, 100, "a");
        assert!(record(1, 6, 0, "a").is_later_copy_of(&original));
        assert!(record(2, 0, 101, "a").is_later_copy_of(&original));
        let unheaded = Record { headers: vec![], ..record(1, 6, 101, "a") };
        let unkeyed = Record { key: None, ..record(1, 6, 101, "a") };
        let elsewhere =
            Record { position: Position::new("order.failed", 1, 6), ..record(1, 6, 101, "a") };
        for other in [
            original.clone(),
            record(1, 4, 101, "a"),
            record(2, 9, 100, "a"),
            record(1, 6, 101, "b"),
            unheaded,
            unkeyed,
            elsewhere,
        ] {
            assert!(!other.is_later_copy_of(&original), "{other:?}");
        }
    }
}
