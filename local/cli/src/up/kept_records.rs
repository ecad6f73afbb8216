//! The records that no function has handled, as lines of JSON.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use emulator::broker::Broker;
use emulator::template::Mapping;
use kafka::{Delivery, OutgoingRecord, ProduceError, Producer};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
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
    let consumer = |group: &str| -> KafkaResult<BaseConsumer> {
        ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20")
            .set_log_level(RDKafkaLogLevel::Critical)
            .create()
    };
    let mut first: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for mapping in mappings {
        let mut wanted = TopicPartitionList::new();
        for partition in partitions.get(&mapping.topic).into_iter().flatten() {
            wanted.add_partition(&mapping.topic, *partition);
        }
        let group = consumer(&mapping.consumer_group)?;
        for element in group.committed_offsets(wanted, RESPONSE_TIMEOUT)?.elements() {
            // The embedded broker was empty at the start: without a commit nothing is handled.
            let next = if let Offset::Offset(next) = element.offset() { next } else { 0 };
            let key = (element.topic().to_owned(), element.partition());
            first.entry(key).and_modify(|it| *it = (*it).min(next)).or_insert(next);
        }
    }
    let reader = consumer("keep")?;
    let mut missing = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for ((topic, partition), next) in first {
        let (low, high) = reader.fetch_watermarks(&topic, partition, RESPONSE_TIMEOUT)?;
        if next.max(low) < high {
            assignment.add_partition_offset(&topic, partition, Offset::Offset(next.max(low)))?;
            missing.insert((topic, partition), high);
        }
    }
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
