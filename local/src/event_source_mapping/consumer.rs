//! How does a mapping read its topic? All partitions, each on a queue of its own.
//!
//! Partitions are assigned, not subscribed to: a mapping is the only reader of its group, and a
//! group join would cost seconds. What lies before the committed offset is never read again.

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

use super::record::Record;
use crate::template::{Mapping, StartingPosition};

/// How long the broker may take to answer while a mapping starts.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Between two questions to a broker whose consumer groups are not loaded yet.
const COORDINATOR_PAUSE: Duration = Duration::from_millis(100);
/// How long the common queue is watched for records from before the partitions had their own.
const STRAYS_WITHIN: Duration = Duration::from_millis(5);

/// Receives what the client has to say outside the records.
pub(super) struct MappingContext {
    /// Told when offsets could not be committed and are to be committed again.
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
            tracing::debug!(%error, "offsets are committed again");
            self.uncommitted.notify_one();
        }
    }
}

pub(super) type MappingConsumer = StreamConsumer<MappingContext>;
pub(super) type PartitionQueue = StreamPartitionQueue<MappingContext>;

/// A partition, and the records that were read before it had its own queue.
pub(super) struct Partition {
    pub(super) number: i32,
    pub(super) queue: PartitionQueue,
    pub(super) first: Vec<Record>,
}

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
        // An offset that the broker no longer has is reported, not passed over in silence.
        .set("auto.offset.reset", "error")
        // The embedded broker lets a fetch wait this long even if a record arrives meanwhile, so
        // the wait is the latency of every step; below 20 ms an idle stack costs noticeable CPU.
        // Real brokers answer at once when there is a record.
        .set("fetch.wait.max.ms", "20")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.max.messages.kbytes", "16384")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        // No request may hold up the end of the mapping for longer.
        .set("socket.timeout.ms", "10000")
        .set_log_level(RDKafkaLogLevel::Error)
        .create_with_context(MappingContext { uncommitted })
}

/// Assigns all partitions at their committed offsets; gives each with where it starts and its queue.
///
/// Blocks.
pub(super) fn assign(
    consumer: &Arc<MappingConsumer>,
    mapping: &Mapping,
) -> KafkaResult<Vec<(i32, Offset, PartitionQueue)>> {
    let metadata = consumer.fetch_metadata(Some(&mapping.topic), ANSWER_WITHIN)?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect();
    if partitions.is_empty() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    let mut wanted = TopicPartitionList::new();
    for partition in &partitions {
        wanted.add_partition(&mapping.topic, *partition);
    }
    // A broker that has just started loads its consumer groups first.
    let patience = ConstantBuilder::new().with_delay(COORDINATOR_PAUSE).with_max_times(100);
    let committed = (|| consumer.committed_offsets(wanted.clone(), ANSWER_WITHIN))
        .retry(patience)
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
/// For `LATEST` it is looked up now, so that a record written from here on is not passed over.
fn start(consumer: &MappingConsumer, mapping: &Mapping, partition: i32) -> KafkaResult<Offset> {
    match mapping.starting_position {
        StartingPosition::TrimHorizon => Ok(Offset::Beginning),
        StartingPosition::Latest => {
            let (_, end) = consumer.fetch_watermarks(&mapping.topic, partition, ANSWER_WITHIN)?;
            Ok(Offset::Offset(end))
        }
    }
}

/// Collects the records that reached the common queue before the partitions had their own.
///
/// They are the first of their partitions, so handing them over first keeps the order.
pub(super) async fn strays(consumer: &MappingConsumer) -> BTreeMap<i32, Vec<Record>> {
    let mut strays: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    while let Ok(received) = tokio::time::timeout(STRAYS_WITHIN, consumer.recv()).await {
        if let Ok(message) = received {
            let read_at_ms = jiff::Timestamp::now().as_millisecond();
            let record = Record::of(&message, read_at_ms);
            strays.entry(message.partition()).or_default().push(record);
        }
    }
    strays
}

/// Serves the common queue for as long as the mapping runs.
///
/// The client handles its own events there. A record that still comes this way is fetched again,
/// on the queue of its partition.
pub(super) async fn serve(consumer: Arc<MappingConsumer>) {
    loop {
        match consumer.recv().await {
            Ok(message) => {
                let (topic, partition) = (message.topic(), message.partition());
                let offset = Offset::Offset(message.offset());
                if let Err(error) = consumer.seek(topic, partition, offset, Duration::ZERO) {
                    tracing::error!(%error, topic, partition, "records are read late");
                }
            }
            Err(error) => tracing::debug!(%error, "the client recovers by itself"),
        }
    }
}
