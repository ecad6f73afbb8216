//! Reads the records that are written to topics while it is open.
//!
//! It has no consumer group and commits nothing. It starts at the end of each partition, so open it
//! before the first record that matters.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Headers, Message};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::broker::Broker;

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// Records that wait for [`Tap::next`]. The others stay on the broker, so that a slow reader does
/// not fill the memory.
const MAX_READY: usize = 32;

/// A record that was written while the tap was open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch; -1 without one.
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The offsets of the records that a partition holds at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionBounds {
    pub topic: String,
    pub partition: i32,
    /// The offset of its oldest record.
    pub first: i64,
    /// The offset after its newest record.
    pub end: i64,
}

/// An open tap.
pub struct Tap {
    records: mpsc::Receiver<TapRecord>,
    opened_at: Vec<PartitionBounds>,
    reader: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the topics at {servers}: check that they exist and that the broker is up")]
pub struct TapError {
    servers: String,
    #[source]
    source: KafkaError,
}

impl Tap {
    /// Opens a tap on these topics: it reads every record that is written from now on.
    ///
    /// # Errors
    /// [`TapError`] when a topic cannot be read.
    pub async fn start(broker: &Broker, topics: &[&str]) -> Result<Self, TapError> {
        let servers = broker.bootstrap_servers().to_owned();
        let failed = |source| TapError { servers: broker.bootstrap_servers().to_owned(), source };
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let assigned = tokio::task::spawn_blocking(move || assign(&servers, &topics));
        let (consumer, opened_at) =
            assigned.await.unwrap_or(Err(KafkaError::Canceled)).map_err(failed)?;
        let (sender, records) = mpsc::channel(MAX_READY);
        let reader = tokio::spawn(async move {
            loop {
                match consumer.recv().await {
                    Ok(message) => {
                        if sender.send(record(&message)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "reading failed; the client retries"),
                }
            }
        });
        Ok(Self { records, opened_at, reader })
    }

    /// The bounds of each partition when the tap was opened.
    #[must_use]
    pub fn opened_at(&self) -> &[PartitionBounds] {
        &self.opened_at
    }

    /// Waits for the next record. The records of one partition come in order.
    ///
    /// Cancel safe. `None` when the tap has ended.
    pub async fn next(&mut self) -> Option<TapRecord> {
        self.records.recv().await
    }

    /// The next record, if one has arrived.
    pub fn next_ready(&mut self) -> Option<TapRecord> {
        self.records.try_recv().ok()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Assigns all partitions at their ends, so that no later record is missed. Blocks.
fn assign(servers: &str, topics: &[String]) -> KafkaResult<(StreamConsumer, Vec<PartitionBounds>)> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        // The client requires a group id. Without commits the group is never stored.
        .set("group.id", "tap")
        .set("client.id", "tap")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // The delay of a record on the embedded broker; shorter ones cost an idle stack more CPU.
        .set("fetch.wait.max.ms", "50")
        .set("fetch.error.backoff.ms", "50")
        .set("queued.max.messages.kbytes", "1024")
        .set("fetch.queue.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "500")
        .set("socket.timeout.ms", "10000")
        .set_log_level(RDKafkaLogLevel::Critical)
        .create()?;
    let (mut assignment, mut opened_at) = (TopicPartitionList::new(), Vec::new());
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        for partition in partitions {
            let partition = partition.id();
            let (first, end) = consumer.fetch_watermarks(topic, partition, METADATA_TIMEOUT)?;
            assignment.add_partition_offset(topic, partition, Offset::Offset(end))?;
            opened_at.push(PartitionBounds { topic: topic.clone(), partition, first, end });
        }
    }
    consumer.assign(&assignment)?;
    Ok((consumer, opened_at))
}

fn record(message: &impl Message) -> TapRecord {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    TapRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(ToOwned::to_owned),
        payload: message.payload().map(ToOwned::to_owned),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(ToOwned::to_owned)))
            .collect(),
    }
}
