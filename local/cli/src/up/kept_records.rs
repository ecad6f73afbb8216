//! The records that no function has handled, as lines of JSON.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use emulator::broker::Broker;
use emulator::template::Mapping;
use kafka::{Delivery, OutgoingRecord, ProduceError, Producer};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::fixtures::group_offsets::{self, GroupOffsets, PartitionOffsets};

/// Limit for reading without a new record.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A record, to be published again on its partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptRecord {
    topic: String,
    partition: i32,
    key: Option<Base64>,
    value: Option<Base64>,
    headers: Vec<(String, Option<Base64>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

impl KeptRecord {
    fn of(message: &impl Message) -> Self {
        let bytes = |bytes: &[u8]| Base64(bytes.to_owned());
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            key: message.key().map(bytes),
            value: message.payload().map(bytes),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(bytes)))
                .collect(),
        }
    }

    pub(super) fn send(&self, producer: &Producer) -> Result<Delivery, ProduceError> {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref().map(|it| it.0.as_slice())))
            .collect();
        producer.send(OutgoingRecord {
            topic: &self.topic,
            partition: Some(self.partition),
            key: self.key.as_ref().map(|it| it.0.as_slice()),
            value: self.value.as_ref().map(|it| it.0.as_slice()),
            headers: &headers,
        })
    }
}

/// The records from the first one on that a mapping has still to handle, of each partition.
///
/// Dead letters are not among them: no mapping reads them, and they name positions of this broker.
pub(super) async fn unhandled(
    broker: &Broker,
    mappings: Vec<Mapping>,
) -> KafkaResult<Vec<KeptRecord>> {
    let partitions = broker.partitions(None).await?;
    let servers = broker.bootstrap_servers().to_owned();
    let read = tokio::task::spawn_blocking(move || read(&servers, &mappings, &partitions));
    read.await.unwrap_or(Err(KafkaError::Canceled))
}

/// Blocks.
fn read(
    servers: &str,
    mappings: &[Mapping],
    partitions: &BTreeMap<String, Vec<i32>>,
) -> KafkaResult<Vec<KeptRecord>> {
    // From the first record on that some mapping has still to handle, to the end.
    let mut ranges: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
    for mapping in mappings {
        let partitions = partitions.get(&mapping.topic).cloned().unwrap_or_default();
        let group = GroupOffsets::of(mapping, servers, partitions)?;
        for PartitionOffsets { partition, committed, low, high } in group.read()? {
            // The embedded broker was empty at the start: without a commit nothing is handled.
            let next = committed.map_or(low, |next| next.max(low));
            let range = ranges.entry((group.topic.clone(), partition)).or_insert((next, high));
            range.0 = range.0.min(next);
        }
    }
    ranges.retain(|_, (next, high)| next < high);
    let reader = group_offsets::consumer(servers, "keep")?;
    let mut assignment = TopicPartitionList::new();
    for ((topic, partition), (next, _)) in &ranges {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
    }
    let missing = ranges.into_iter().map(|(partition, (_, high))| (partition, high)).collect();
    reader.assign(&assignment)?;
    Ok(poll_until(&reader, missing))
}

/// Reads up to these ends; a partition that cannot be read is left with a warning.
fn poll_until(reader: &BaseConsumer, mut missing: BTreeMap<(String, i32), i64>) -> Vec<KeptRecord> {
    let mut records = Vec::new();
    let mut last = Instant::now();
    while !missing.is_empty() && last.elapsed() < STALL_TIMEOUT {
        let Some(Ok(message)) = reader.poll(POLL_INTERVAL) else { continue };
        last = Instant::now();
        let partition = (message.topic().to_owned(), message.partition());
        let Some(end) = missing.get(&partition).copied() else { continue };
        if message.offset() < end {
            records.push(KeptRecord::of(&message));
        }
        if message.offset() + 1 >= end {
            missing.remove(&partition);
        }
    }
    for (topic, partition) in missing.keys() {
        tracing::warn!(topic, partition, "records cannot be read and are not kept");
    }
    records
}
