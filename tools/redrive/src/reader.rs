//! Reads topics without a consumer group: nothing is committed, and no other consumer is affected.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use kafka::{Brokers, Context};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

/// The limit for one response, and for the time without a record.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit for finding the cause of a missing response: the client keeps retrying.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Its methods block.
pub(crate) struct Reader {
    consumer: BaseConsumer<Context>,
    servers: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cannot set up the Kafka client (check --kafka and --ca-file)")]
    Client(#[source] KafkaError),
    #[error(
        "no response from the Kafka brokers at {servers}: {cause} (check that they are up, and \
         that --auth is right)"
    )]
    NoResponse { servers: String, cause: String },
    #[error("no topic {topic} at {servers} (check that --kafka names the brokers of the workflow)")]
    NoTopic { topic: &'static str, servers: String },
    #[error(
        "cannot read {topic} to its end: {cause} (check the permission to read it, and try again)"
    )]
    Incomplete { topic: String, cause: String },
    #[error("reading the topics failed: {0}")]
    Cancelled(String),
}

impl Reader {
    pub(crate) fn new(brokers: &Brokers) -> Result<Self, ReadError> {
        let consumer: BaseConsumer<Context> = brokers
            .client_config()
            // The client requires a group id. It neither joins the group nor commits, so it needs
            // no permission for it.
            .set("group.id", "redrive")
            .set("client.id", "redrive")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // If retention moves the beginning meanwhile, start at the new one.
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "100")
            .create_with_context(brokers.context())
            .map_err(ReadError::Client)?;
        // The client makes its token only while polled, and metadata requests do not poll. Nothing
        // is assigned yet, so no record can arrive.
        drop(consumer.poll(POLL_INTERVAL));
        Ok(Self { consumer, servers: brokers.bootstrap_servers.clone() })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// The available offsets of each partition; empty if the topic does not exist.
    pub(crate) fn offsets(&self, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, ReadError> {
        let no_response = |error| self.no_response(&error);
        let metadata =
            self.consumer.fetch_metadata(Some(topic), RESPONSE_TIMEOUT).map_err(no_response)?;
        let topics = metadata.topics().iter();
        let mut available = BTreeMap::new();
        for partition in topics.flat_map(|topic| topic.partitions()).map(|it| it.id()) {
            let (first, end) = self
                .consumer
                .fetch_watermarks(topic, partition, RESPONSE_TIMEOUT)
                .map_err(no_response)?;
            available.insert(partition, first..end);
        }
        Ok(available)
    }

    /// Passes the messages at these offsets to `each`, in order within a partition.
    pub(crate) fn read(
        &self,
        topic: &str,
        mut wanted: BTreeMap<i32, Range<i64>>,
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), ReadError> {
        wanted.retain(|_, offsets| !offsets.is_empty());
        let mut assignment = TopicPartitionList::new();
        for (partition, offsets) in &wanted {
            assignment
                .add_partition_offset(topic, *partition, Offset::Offset(offsets.start))
                .map_err(ReadError::Client)?;
        }
        self.consumer.assign(&assignment).map_err(ReadError::Client)?;
        let mut last_progress = Instant::now();
        let mut cause = "no more records arrived".to_owned();
        while !wanted.is_empty() {
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(message)) => {
                    last_progress = Instant::now();
                    let partition = message.partition();
                    let Some(offsets) = wanted.get(&partition) else { continue };
                    if offsets.contains(&message.offset()) {
                        each(&message);
                    }
                    if message.offset().saturating_add(1) >= offsets.end {
                        wanted.remove(&partition);
                    }
                }
                // The last offset may not be a record, but the marker of a transaction.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    wanted.remove(&partition);
                    last_progress = Instant::now();
                    // The client reports the end as an error.
                    drop(self.consumer.context().take_last_error());
                }
                // The client retries by itself.
                Some(Err(error)) => cause = error.to_string(),
                None => {}
            }
            if last_progress.elapsed() > RESPONSE_TIMEOUT {
                let cause = self.consumer.context().take_last_error().unwrap_or(cause);
                return Err(ReadError::Incomplete { topic: topic.to_owned(), cause });
            }
        }
        Ok(())
    }

    fn no_response(&self, error: &KafkaError) -> ReadError {
        // The cause, such as rejected authentication, is only reported while polling.
        let started = Instant::now();
        while started.elapsed() < CAUSE_TIMEOUT && self.consumer.poll(POLL_INTERVAL).is_some() {}
        let cause = self.consumer.context().take_last_error();
        let cause = cause.unwrap_or_else(|| error.to_string());
        ReadError::NoResponse { servers: self.servers.clone(), cause }
    }
}
