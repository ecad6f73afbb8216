//! Reads partitions without a consumer group: nothing is committed, and no consumer is affected.

use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};

use contracts::{Topic, TopicNames};
use kafka::{Brokers, Context};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Message},
};

/// The limit for one response, and for the time without a record.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The brokers, and the topics of one stack on them.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) brokers: Brokers,
    pub(crate) topics: TopicNames,
}

/// The offsets of partitions.
pub(crate) type Offsets = BTreeMap<(Topic, i32), Range<i64>>;

/// Its methods block.
pub(crate) struct Reader {
    consumer: BaseConsumer<Context>,
    servers: String,
    topics: TopicNames,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cannot set up the Kafka client (check --kafka and --ca-file)")]
    Client(#[source] KafkaError),
    #[error(
        "no response from the Kafka brokers at {servers}: {cause} (check that they are up, and \
         that --auth is right; or give --no-topics)"
    )]
    NoResponse { servers: String, cause: String },
    #[error(
        "no topic {topic} at {servers} (check --topic-prefix, and that --kafka names the brokers of \
         the workflow)"
    )]
    NoTopic { topic: String, servers: String },
    #[error("cannot read the topics to their end: {cause} (check the permission to read them)")]
    Incomplete { cause: String },
    #[error("reading the topics failed: {0}")]
    Cancelled(String),
}

impl Reader {
    pub(crate) fn new(Cluster { brokers, topics }: &Cluster) -> Result<Self, ReadError> {
        let consumer = brokers.reader("audit").map_err(ReadError::Client)?;
        Ok(Self { consumer, servers: brokers.bootstrap_servers.clone(), topics: topics.clone() })
    }

    /// The available offsets of all partitions of the workflow's topics.
    pub(crate) fn available(&self) -> Result<Offsets, ReadError> {
        let silent = |error: KafkaError| ReadError::NoResponse {
            servers: self.servers.clone(),
            cause: self.consumer.context().take_last_error().unwrap_or_else(|| error.to_string()),
        };
        let mut available = Offsets::new();
        for topic in Topic::ALL {
            let name = &self.topics.name(*topic);
            let metadata =
                self.consumer.fetch_metadata(Some(name), RESPONSE_TIMEOUT).map_err(silent)?;
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let partitions: Vec<i32> = partitions.map(|partition| partition.id()).collect();
            if partitions.is_empty() {
                return Err(ReadError::NoTopic {
                    topic: name.to_string(),
                    servers: self.servers.clone(),
                });
            }
            for partition in partitions {
                let (first, end) = self
                    .consumer
                    .fetch_watermarks(name, partition, RESPONSE_TIMEOUT)
                    .map_err(silent)?;
                available.insert((*topic, partition), first..end);
            }
        }
        Ok(available)
    }

    /// Passes the records at these offsets to `each`, in order within a partition.
    pub(crate) fn read(
        &self,
        mut wanted: Offsets,
        mut each: impl FnMut(Topic, &BorrowedMessage<'_>),
    ) -> Result<(), ReadError> {
        wanted.retain(|_, offsets| !offsets.is_empty());
        let mut assignment = TopicPartitionList::new();
        for ((topic, partition), offsets) in &wanted {
            assignment
                .add_partition_offset(
                    &self.topics.name(*topic),
                    *partition,
                    Offset::Offset(offsets.start),
                )
                .map_err(ReadError::Client)?;
        }
        self.consumer.assign(&assignment).map_err(ReadError::Client)?;
        let mut last_progress = Instant::now();
        let mut cause = "no more records arrived".to_owned();
        while !wanted.is_empty() && last_progress.elapsed() < RESPONSE_TIMEOUT {
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(message)) => {
                    last_progress = Instant::now();
                    let Some(topic) = self.topics.topic(message.topic()) else { continue };
                    let key = (topic, message.partition());
                    let Some(offsets) = wanted.get(&key) else { continue };
                    if offsets.contains(&message.offset()) {
                        each(topic, &message);
                    }
                    if message.offset().saturating_add(1) >= offsets.end {
                        wanted.remove(&key);
                    }
                }
                // Reported without its topic. The last offset may be the marker of a transaction.
                Some(Err(KafkaError::PartitionEOF(_))) => self.drop_read(&mut wanted),
                // The client retries by itself.
                Some(Err(error)) => cause = error.to_string(),
                None => {}
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        Err(ReadError::Incomplete {
            cause: self.consumer.context().take_last_error().unwrap_or(cause),
        })
    }

    /// Drops the partitions whose position is at the wanted end.
    fn drop_read(&self, wanted: &mut Offsets) {
        let Ok(positions) = self.consumer.position() else { return };
        for position in positions.elements() {
            let Some(topic) = self.topics.topic(position.topic()) else { continue };
            let key = (topic, position.partition());
            let is_read = |offsets: &Range<i64>| matches!(position.offset(), Offset::Offset(at) if at >= offsets.end);
            if wanted.get(&key).is_some_and(is_read) {
                wanted.remove(&key);
            }
        }
    }
}
