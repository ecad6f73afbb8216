//! The Kafka consumer of a mapping, with one queue per partition.
//!
//! Partitions are assigned, not subscribed to: a mapping is the only member of its group, and a
//! group join takes seconds. Records before the committed offset are never read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BlockingRetryable, ConstantBuilder};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Shared;
use super::event::Record;
use crate::template::{Mapping, StartingPosition};

/// Limit for each response of the broker.
pub(super) const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// Backoff while a broker loads its consumer groups.
const COORDINATOR_BACKOFF: Duration = Duration::from_millis(100);
/// The common queue is empty if no record arrives within this time.
const PREFETCHED_TIMEOUT: Duration = Duration::from_millis(5);

/// The callbacks of the client.
pub(super) struct MappingContext {
    /// Notified when a commit fails and must be retried.
    pub(super) uncommitted: Arc<Notify>,
}

impl ClientContext for MappingContext {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "{reason}");
    }
}

impl ConsumerContext for MappingContext {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "commit failed; it is retried");
            self.uncommitted.notify_one();
        }
    }
}

pub(super) type MappingConsumer = StreamConsumer<MappingContext>;
pub(super) type PartitionQueue = StreamPartitionQueue<MappingContext>;

pub(super) fn create(
    mapping: &Mapping,
    bootstrap_servers: &str,
    uncommitted: Arc<Notify>,
) -> KafkaResult<MappingConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", &mapping.consumer_group)
        .set("client.id", &mapping.logical_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // If the broker has dropped the next records, reading continues at its oldest; `partition`
        // reports it. With `error` the client would stop reading the partition.
        .set("auto.offset.reset", "earliest")
        // The embedded broker delays a fetch this long even if a record arrives meanwhile, so this
        // is the latency of every step; below 20 ms an idle stack uses noticeable CPU. Real brokers
        // respond as soon as there is a record.
        .set("fetch.wait.max.ms", "20")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.queue.backoff.ms", "20")
        // For each partition. The records of a paused or slow mapping stay on the broker.
        .set("queued.max.messages.kbytes", "1024")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        // Limits the delay of a stop while the broker is connected but does not respond.
        .set("socket.timeout.ms", "10000")
        // The same while it is away: a commit waits this long for the group's coordinator. It
        // limits nothing else, because the group is never joined.
        .set("session.timeout.ms", "10000")
        .set_log_level(RDKafkaLogLevel::Error)
        .create_with_context(MappingContext { uncommitted })
}

/// Assigns all partitions at their committed offsets; returns number, start and queue of each.
/// Blocks.
pub(super) fn assign(
    consumer: &Arc<MappingConsumer>,
    mapping: &Mapping,
) -> KafkaResult<Vec<(i32, Offset, PartitionQueue)>> {
    let metadata = consumer.fetch_metadata(Some(&mapping.topic), BROKER_TIMEOUT)?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect();
    if partitions.is_empty() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    let mut requested = TopicPartitionList::new();
    for partition in &partitions {
        requested.add_partition(&mapping.topic, *partition);
    }
    // A broker that has just started loads its consumer groups first.
    let backoff = ConstantBuilder::new().with_delay(COORDINATOR_BACKOFF).with_max_times(100);
    let committed = (|| consumer.committed_offsets(requested.clone(), BROKER_TIMEOUT))
        .retry(backoff)
        .when(|error| error.rdkafka_error_code().is_some_and(is_coordinator_starting))
        .call()?;
    let mut assignment = TopicPartitionList::new();
    for element in committed.elements() {
        let offset = match element.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            _ => start(consumer, mapping, element.partition())?,
        };
        assignment.add_partition_offset(&mapping.topic, element.partition(), offset)?;
    }
    consumer.assign(&assignment)?;
    assignment
        .elements()
        .into_iter()
        .map(|element| {
            let queue = consumer.split_partition_queue(&mapping.topic, element.partition());
            let unknown = KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownPartition);
            queue.map(|queue| (element.partition(), element.offset(), queue)).ok_or(unknown)
        })
        .collect()
}

fn is_coordinator_starting(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
    )
}

/// The first offset of a partition without a committed one.
///
/// `LATEST` is resolved now, so that no later record is skipped.
fn start(consumer: &MappingConsumer, mapping: &Mapping, partition: i32) -> KafkaResult<Offset> {
    match mapping.starting_position {
        StartingPosition::TrimHorizon => Ok(Offset::Beginning),
        StartingPosition::Latest => {
            let (_, end) = consumer.fetch_watermarks(&mapping.topic, partition, BROKER_TIMEOUT)?;
            Ok(Offset::Offset(end))
        }
    }
}

/// Takes the records that reached the common queue before the partitions had their own.
///
/// They are the first of their partitions: delivered first, they keep the order.
pub(super) async fn prefetched(shared: &Shared) -> BTreeMap<i32, Vec<Record>> {
    let mut prefetched: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    while let Ok(received) = timeout(PREFETCHED_TIMEOUT, shared.consumer.recv()).await {
        if let Ok(message) = received {
            prefetched.entry(message.partition()).or_default().push(shared.record(&message));
        }
    }
    prefetched
}

/// Polls the common queue while the mapping runs.
///
/// The client handles its own events there. A record that still arrives here is read again, on the
/// queue of its partition.
pub(super) async fn serve(consumer: Arc<MappingConsumer>) {
    loop {
        match consumer.recv().await {
            Ok(message) => {
                let (topic, partition) = (message.topic(), message.partition());
                let offset = Offset::Offset(message.offset());
                if let Err(error) = consumer.seek(topic, partition, offset, Duration::ZERO) {
                    tracing::error!(%error, topic, partition, "cannot seek: records are delayed");
                }
            }
            Err(error) => tracing::debug!(%error, "reading failed; the client retries"),
        }
    }
}
