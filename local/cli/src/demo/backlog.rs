//! The backlog: records on the topics that the functions have not yet handled.
//!
//! Topics are checked in the order of the workflow. A handled topic cannot cause new records on
//! later ones, so one pass without a backlog means that the workflow is idle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::Topic;
use emulator::broker::Broker;
use emulator::template::{Mapping, StartingPosition, Template};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The offset after the last record, by topic and partition.
pub(crate) type Ends = BTreeMap<(String, i32), i64>;

/// Reads the lag of the mappings' consumer groups.
pub(crate) struct Backlog {
    readers: Arc<Vec<Reader>>,
}

/// Reads the offsets of a consumer group without joining it.
struct Reader {
    consumer: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
    starting_position: StartingPosition,
}

impl Backlog {
    pub(crate) async fn of(template: &Template, broker: &Broker) -> KafkaResult<Self> {
        let partitions = broker.partitions(None).await?;
        let mut mappings: Vec<&Mapping> = template.mappings.iter().collect();
        mappings.sort_by_key(|mapping| Topic::from_name(&mapping.topic));
        let readers = mappings.into_iter().map(|mapping| {
            let consumer = ClientConfig::new()
                .set("bootstrap.servers", broker.bootstrap_servers())
                .set("group.id", &mapping.consumer_group)
                .set_log_level(RDKafkaLogLevel::Critical)
                .create()?;
            Ok(Reader {
                consumer,
                topic: mapping.topic.clone(),
                partitions: partitions.get(&mapping.topic).cloned().unwrap_or_default(),
                starting_position: mapping.starting_position,
            })
        });
        Ok(Self { readers: Arc::new(readers.collect::<KafkaResult<_>>()?) })
    }

    /// The number of records that the functions have not handled, and the ends of the topics.
    pub(crate) async fn read(&self) -> KafkaResult<(i64, Ends)> {
        let readers = Arc::clone(&self.readers);
        let result = tokio::task::spawn_blocking(move || {
            let mut ends = Ends::new();
            let mut backlog = 0;
            for reader in readers.iter() {
                backlog += reader.backlog(&mut ends)?;
            }
            Ok((backlog, ends))
        });
        result.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

impl Reader {
    /// Blocks.
    fn backlog(&self, ends: &mut Ends) -> KafkaResult<i64> {
        let mut partitions = TopicPartitionList::new();
        for partition in &self.partitions {
            partitions.add_partition(&self.topic, *partition);
        }
        // Ends before commits: a race can only report records as handled too late.
        let mut bounds = BTreeMap::new();
        for partition in &self.partitions {
            let (low, high) =
                self.consumer.fetch_watermarks(&self.topic, *partition, RESPONSE_TIMEOUT)?;
            ends.insert((self.topic.clone(), *partition), high);
            bounds.insert(*partition, (low, high));
        }
        let committed = self.consumer.committed_offsets(partitions, RESPONSE_TIMEOUT)?;
        let left = committed.elements().into_iter().map(|element| {
            let (low, high) = bounds.get(&element.partition()).copied().unwrap_or_default();
            let next = match (element.offset(), self.starting_position) {
                (Offset::Offset(next), _) => next,
                (_, StartingPosition::TrimHorizon) => low,
                (_, StartingPosition::Latest) => high,
            };
            high.saturating_sub(next).max(0)
        });
        Ok(left.sum())
    }
}
