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
    deadline: Option<Instant>,
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
    #[error(
        "no topic {topic} at {servers} (check that --kafka names the brokers of the workflow, and TOPIC_PREFIX its topics)"
    )]
    NoTopic { topic: String, servers: String },
    #[error(
        "cannot read {topic} to its end: {cause} (check the permission to read it, and try again)"
    )]
    Incomplete { topic: String, cause: String },
    #[error(
        "deadline exceeded while reading {0} (raise the function's timeout, or use the redrive \
         command, which has none)"
    )]
    DeadlineExceeded(String),
    #[error("reading the topics failed: {0}")]
    Cancelled(String),
}

impl Reader {
    /// Reading ends with an error at the deadline.
    pub(crate) fn new(brokers: &Brokers, deadline: Option<Instant>) -> Result<Self, ReadError> {
        let consumer = brokers.reader("redrive").map_err(ReadError::Client)?;
        Ok(Self { consumer, servers: brokers.bootstrap_servers.clone(), deadline })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// The available offsets of each partition; empty if the topic does not exist.
    pub(crate) fn offsets(&self, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, ReadError> {
        let no_response = |error| self.no_response(topic, &error);
        let timeout = self.response_timeout(topic)?;
        let metadata = self.consumer.fetch_metadata(Some(topic), timeout).map_err(no_response)?;
        let topics = metadata.topics().iter();
        let mut available = BTreeMap::new();
        for partition in topics.flat_map(|it| it.partitions()).map(|it| it.id()) {
            let timeout = self.response_timeout(topic)?;
            let watermarks = self.consumer.fetch_watermarks(topic, partition, timeout);
            let (first, end) = watermarks.map_err(no_response)?;
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
            self.response_timeout(topic)?;
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

    /// The time for one response: what is left until the deadline, if that is less.
    fn response_timeout(&self, topic: &str) -> Result<Duration, ReadError> {
        let Some(deadline) = self.deadline else { return Ok(RESPONSE_TIMEOUT) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left < POLL_INTERVAL {
            return Err(ReadError::DeadlineExceeded(topic.to_owned()));
        }
        Ok(left.min(RESPONSE_TIMEOUT))
    }

    fn no_response(&self, topic: &str, error: &KafkaError) -> ReadError {
        if let Err(deadline_exceeded) = self.response_timeout(topic) {
            return deadline_exceeded;
        }
        // The cause, such as rejected authentication, is only reported while polling.
        let started = Instant::now();
        while started.elapsed() < CAUSE_TIMEOUT && self.consumer.poll(POLL_INTERVAL).is_some() {}
        let cause = self.consumer.context().take_last_error();
        let cause = cause.unwrap_or_else(|| error.to_string());
        ReadError::NoResponse { servers: self.servers.clone(), cause }
    }
}
