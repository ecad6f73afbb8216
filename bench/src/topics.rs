//! Reads the events of the stages from their topics.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::error::{BenchError, Context, Result};
use crate::record::Record;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for an acknowledged event to become readable.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Continues at the end of the previous read.
///
/// Each read creates its own client, so that none uses processor time while a stage is measured.
pub(crate) struct TopicReader {
    bootstrap_servers: String,
    positions: HashMap<(String, i32), i64>,
}

impl TopicReader {
    /// Starts at the current ends of the topics.
    pub(crate) fn new(bootstrap_servers: &str, topics: &[&str]) -> Result<Self> {
        let mut reader =
            Self { bootstrap_servers: bootstrap_servers.to_owned(), positions: HashMap::new() };
        let failed = || format!("cannot read the topics at {bootstrap_servers}");
        let consumer = reader.consumer().context(failed())?;
        for topic in topics {
            let ends = ends(&consumer, topic).context(failed())?;
            reader.positions.extend(
                ends.into_iter().map(|(partition, end)| (((*topic).to_owned(), partition), end)),
            );
        }
        Ok(reader)
    }

    /// The first event of each of these keys on a topic, in the order of arrival. Blocks.
    pub(crate) fn read(&mut self, topic: &str, keys: &HashSet<String>) -> Result<Vec<Record>> {
        let mut found: HashMap<String, Record> = HashMap::with_capacity(keys.len());
        let mut order = Vec::with_capacity(keys.len());
        let failed = || format!("cannot read {topic} at {}", self.bootstrap_servers);
        let consumer = self.consumer().context(failed())?;
        consumer.assign(&self.assignment(topic).context(failed())?).context(failed())?;
        let deadline = Instant::now() + READ_TIMEOUT;
        while found.len() < keys.len() {
            if Instant::now() > deadline {
                return Err(BenchError::Invalid(format!(
                    "{topic} has events of {} of {} orders: see order.failed for the others",
                    found.len(),
                    keys.len()
                )));
            }
            // The client recovers from errors by itself, until the deadline.
            let Some(Ok(message)) = consumer.poll(POLL_INTERVAL) else { continue };
            let position = (topic.to_owned(), message.partition());
            self.positions.insert(position, message.offset() + 1);
            let record = Record::new(&message);
            if keys.contains(&record.key) && !found.contains_key(&record.key) {
                order.push(record.key.clone());
                found.insert(record.key.clone(), record);
            }
        }
        Ok(order.into_iter().filter_map(|key| found.remove(&key)).collect())
    }

    fn consumer(&self) -> KafkaResult<BaseConsumer> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            // The client requires a group; nothing is committed.
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .set_log_level(RDKafkaLogLevel::Critical)
            .create()
    }

    fn assignment(&self, topic: &str) -> KafkaResult<TopicPartitionList> {
        let mut assignment = TopicPartitionList::new();
        for ((name, partition), position) in &self.positions {
            if name == topic {
                assignment.add_partition_offset(name, *partition, Offset::Offset(*position))?;
            }
        }
        Ok(assignment)
    }
}

fn ends(consumer: &BaseConsumer, topic: &str) -> KafkaResult<Vec<(i32, i64)>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    partitions
        .map(|partition| {
            let (_, end) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_TIMEOUT)?;
            Ok((partition.id(), end))
        })
        .collect()
}
