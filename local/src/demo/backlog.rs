//! The backlog: records on the topics that the functions have not yet handled.
//!
//! Asked of the broker, in the order of the workflow: once a topic is done with, nothing can come
//! of it any more, so a single walk without a backlog means that all is quiet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::Topic;
use local::broker::Broker;
use local::template::{Mapping, StartingPosition, Template};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The offset after the last record, by topic and partition.
pub(crate) type Ends = BTreeMap<(String, i32), i64>;

/// Asks the broker about the consumer groups of the mappings.
pub(crate) struct Backlog {
    readers: Arc<Vec<Reader>>,
}

/// A consumer group and what it reads. It never joins the group.
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

    /// How many records the functions have yet to work through, and where the topics end.
    pub(crate) async fn look(&self) -> KafkaResult<(i64, Ends)> {
        let readers = Arc::clone(&self.readers);
        let looked = tokio::task::spawn_blocking(move || {
            let mut ends = Ends::new();
            let mut backlog = 0;
            for reader in readers.iter() {
                backlog += reader.backlog(&mut ends)?;
            }
            Ok((backlog, ends))
        });
        looked.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

impl Reader {
    /// Blocks.
    fn backlog(&self, ends: &mut Ends) -> KafkaResult<i64> {
        let mut wanted = TopicPartitionList::new();
        for partition in &self.partitions {
            wanted.add_partition(&self.topic, *partition);
        }
        // The ends come first: what arrives in between counts as done with at most too late.
        let mut bounds = BTreeMap::new();
        for partition in &self.partitions {
            let (low, high) =
                self.consumer.fetch_watermarks(&self.topic, *partition, RESPONSE_TIMEOUT)?;
            ends.insert((self.topic.clone(), *partition), high);
            bounds.insert(*partition, (low, high));
        }
        let committed = self.consumer.committed_offsets(wanted, RESPONSE_TIMEOUT)?;
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
