//! The events on the topics, as fingerprints: some 30 bytes for each.
//!
//! The topics are read before the rows, so that every event that was read has its row by then, and
//! their new records after the rows, so that every event that a stage acted on has its record.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

use contracts::{RecordPosition, StoredEvent, Topic, parse_rfc3339};
use jiff::Timestamp;
use rdkafka::message::Message;

use crate::reader::{Cluster, Offsets, ReadError, Reader};

/// Set in a place once a row with the event is found.
const MATCHED: u64 = 1;

/// The bits of a place: matched, topic, partition, offset.
const TOPIC_BITS: u32 = 3;
const PARTITION_BITS: u32 = 16;

/// A record that no row explains.
#[derive(Debug)]
pub(crate) struct Unmatched {
    pub(crate) position: RecordPosition,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) value: Vec<u8>,
}

/// The events of the topics.
#[derive(Debug)]
pub(crate) struct TopicEvents {
    cluster: Cluster,
    /// Places by fingerprint.
    seen: HashMap<u64, AtomicU64>,
    read_to: Offsets,
    /// Events since then are on the topics.
    pub(crate) since: Timestamp,
    pub(crate) records: u64,
}

impl TopicEvents {
    /// Reads all records. Events before `since` may be gone.
    pub(crate) async fn read(cluster: &Cluster, since: Timestamp) -> Result<Self, ReadError> {
        let events = Self {
            cluster: cluster.clone(),
            seen: HashMap::new(),
            read_to: Offsets::new(),
            since,
            records: 0,
        };
        events.read_on().await
    }

    /// Reads the records that were written since.
    pub(crate) async fn read_on(mut self) -> Result<Self, ReadError> {
        let read = tokio::task::spawn_blocking(move || {
            let reader = Reader::new(&self.cluster)?;
            let available = reader.available()?;
            let mut wanted = available.clone();
            for (partition, offsets) in &mut wanted {
                if let Some(read) = self.read_to.get(partition) {
                    offsets.start = offsets.start.max(read.end);
                }
            }
            let is_first = self.read_to.is_empty();
            let mut started = BTreeSet::new();
            reader.read(wanted, |topic, message| {
                self.records = self.records.saturating_add(1);
                if is_first && started.insert((topic, message.partition())) && message.offset() > 0
                {
                    let at = message.timestamp().to_millis();
                    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
                    self.since = self.since.max(at.unwrap_or(self.since));
                }
                let place = place(topic, message.partition(), message.offset());
                // The row of a later record may be newer than what was read of the rows.
                let place = if is_first { place } else { place | MATCHED };
                let key = fingerprint(topic, message.payload().unwrap_or_default());
                self.seen.entry(key).or_insert_with(|| AtomicU64::new(place));
            })?;
            self.read_to = available;
            Ok(self)
        });
        read.await.unwrap_or_else(|error| Err(ReadError::Cancelled(error.to_string())))
    }

    /// Marks the records of an event as explained; `false` if it must be on its topic and is not.
    pub(crate) fn explain(&self, event: &StoredEvent) -> bool {
        match self.seen.get(&fingerprint(event.event_type.topic(), event.body.as_bytes())) {
            Some(place) => {
                place.fetch_or(MATCHED, Ordering::Relaxed);
                true
            }
            None => parse_rfc3339(&event.timestamp).is_some_and(|at| at < self.since),
        }
    }

    /// Reads the records again that no row has explained.
    pub(crate) async fn unmatched(&self) -> Result<Vec<Unmatched>, ReadError> {
        let places = self.seen.values().map(|place| place.load(Ordering::Relaxed));
        let places: BTreeSet<_> =
            places.filter(|place| place & MATCHED == 0).filter_map(position).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = Offsets::new();
        for it in &places {
            let next = it.offset.saturating_add(1);
            let offsets = wanted.entry((it.topic, it.partition)).or_insert(it.offset..next);
            offsets.end = offsets.end.max(next);
        }
        let cluster = self.cluster.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut unmatched = Vec::with_capacity(places.len());
            Reader::new(&cluster)?.read(wanted, |topic, message| {
                let (partition, offset) = (message.partition(), message.offset());
                let position = RecordPosition { topic, partition, offset };
                if places.contains(&position) {
                    let at = message.timestamp().to_millis();
                    unmatched.push(Unmatched {
                        position,
                        timestamp: at.and_then(|at| Timestamp::from_millisecond(at).ok()),
                        value: message.payload().unwrap_or_default().to_owned(),
                    });
                }
            })?;
            Ok(unmatched)
        });
        read.await.unwrap_or_else(|error| Err(ReadError::Cancelled(error.to_string())))
    }
}

/// An event's body has its type, its order and its time.
fn fingerprint(topic: Topic, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    topic.hash(&mut hasher);
    body.hash(&mut hasher);
    hasher.finish()
}

fn place(topic: Topic, partition: i32, offset: i64) -> u64 {
    let topic = Topic::ALL.iter().position(|it| *it == topic).unwrap_or_default();
    let topic = u64::try_from(topic).unwrap_or_default();
    let partition = u64::try_from(partition).unwrap_or_default();
    let offset = u64::try_from(offset).unwrap_or_default();
    (offset << (1 + TOPIC_BITS + PARTITION_BITS)) | (partition << (1 + TOPIC_BITS)) | (topic << 1)
}

fn position(place: u64) -> Option<RecordPosition> {
    let bits = |shift: u32, bits: u32| (place >> shift) & ((1 << bits) - 1);
    Some(RecordPosition {
        topic: *Topic::ALL.get(usize::try_from(bits(1, TOPIC_BITS)).ok()?)?,
        partition: i32::try_from(bits(1 + TOPIC_BITS, PARTITION_BITS)).ok()?,
        offset: i64::try_from(place >> (1 + TOPIC_BITS + PARTITION_BITS)).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_the_position() {
        for topic in Topic::ALL {
            let at = RecordPosition { topic: *topic, partition: 999, offset: 12_345_678_901 };
            let packed = place(at.topic, at.partition, at.offset);
            assert_eq!(position(packed | MATCHED), Some(at));
        }
    }
}
