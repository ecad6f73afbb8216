//! Reads topics without a consumer group, so that nothing is taken from anyone and a second reading
//! finds the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use kafka::{Brokers, Context};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

/// How long the brokers may take for one answer, and how long they may send nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long it is listened for why there was no answer: the client goes on trying and failing.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(1);
/// How long one look for the next record takes.
const LOOK: Duration = Duration::from_millis(100);

/// Reads what lies on topics; its methods block.
pub(crate) struct Reader {
    consumer: BaseConsumer<Context>,
    servers: String,
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The client cannot be set up.
    #[error("the Kafka client cannot be set up: see --kafka and --ca-file")]
    Client(#[source] KafkaError),
    /// No answer.
    #[error(
        "no Kafka broker answers at {servers}: see whether it is up, and whether it asks for \
         another --sign-in: {trouble}"
    )]
    Silent { servers: String, trouble: String },
    /// There is no such topic.
    #[error(
        "there is no topic {topic} at {servers}: see whether --kafka names the workflow's brokers"
    )]
    NoTopic { topic: &'static str, servers: String },
    /// The records stop coming before the end.
    #[error(
        "{topic} cannot be read to its end: see whether you may read it, and try again: {trouble}"
    )]
    Stuck { topic: String, trouble: String },
    /// The reading itself was cut off.
    #[error("the topics are not read to their ends: {0}")]
    CutOff(String),
}

impl Reader {
    pub(crate) fn new(brokers: &Brokers) -> Result<Self, ReadError> {
        let consumer: BaseConsumer<Context> = brokers
            .client_config()
            // The client asks for a group; it joins none and commits nothing, so that no right to a
            // group is needed either.
            .set("group.id", "redrive")
            .set("client.id", "redrive")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A beginning that retention moves meanwhile is looked up again.
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "100")
            .create_with_context(brokers.context())
            .map_err(ReadError::Client)?;
        // The token for the sign-in is only made while the client is polled, and the questions below
        // do not poll it. Nothing is assigned yet, so nothing can come.
        drop(consumer.poll(LOOK));
        Ok(Self { consumer, servers: brokers.bootstrap_servers.clone() })
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// The offsets that each partition of a topic holds; none where there is no such topic.
    pub(crate) fn held(&self, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, ReadError> {
        let silent = |error| self.silent(&error);
        let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(silent)?;
        let topics = metadata.topics().iter();
        let mut held = BTreeMap::new();
        for partition in topics.flat_map(|topic| topic.partitions()).map(|it| it.id()) {
            let (first, end) =
                self.consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN).map_err(silent)?;
            held.insert(partition, first..end);
        }
        Ok(held)
    }

    /// Hands over the messages at these offsets, in the order of their partition.
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
        let mut heard = Instant::now();
        let mut trouble = "nothing came any more".to_owned();
        while !wanted.is_empty() {
            match self.consumer.poll(LOOK) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let partition = message.partition();
                    let Some(offsets) = wanted.get(&partition) else { continue };
                    if offsets.contains(&message.offset()) {
                        each(&message);
                    }
                    if message.offset().saturating_add(1) >= offsets.end {
                        wanted.remove(&partition);
                    }
                }
                // The last offset may hold no record, such as the mark of a transaction.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    wanted.remove(&partition);
                    heard = Instant::now();
                    // The client reports it as an error, which it is not.
                    drop(self.consumer.context().take_last_error());
                }
                // The client tries again by itself.
                Some(Err(error)) => trouble = error.to_string(),
                None => {}
            }
            if heard.elapsed() > ANSWER_WITHIN {
                let trouble = self.consumer.context().take_last_error().unwrap_or(trouble);
                return Err(ReadError::Stuck { topic: topic.to_owned(), trouble });
            }
        }
        Ok(())
    }

    fn silent(&self, error: &KafkaError) -> ReadError {
        // Why the way is barred, such as a sign-in that is refused, is only heard by polling.
        let asked = Instant::now();
        while asked.elapsed() < EXPLAINED_WITHIN && self.consumer.poll(LOOK).is_some() {}
        let trouble = self.consumer.context().take_last_error();
        let trouble = trouble.unwrap_or_else(|| error.to_string());
        ReadError::Silent { servers: self.servers.clone(), trouble }
    }
}
