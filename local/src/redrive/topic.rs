//! Reads `order.dead-letter` from its beginning to the ends it has now.
//!
//! It is read without a consumer group, so that nothing is taken from anyone and a second reading
//! finds the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::{Brokers, Context};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::entry::{Entry, Letter, entries};
use super::position::Position;

/// The topic that every mapping of `template.yaml` gives its records up to.
pub(crate) const DEAD_LETTER_TOPIC: &str = "order.dead-letter";

/// How long the brokers may take for one answer, and how long they may send nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long it is listened for why there was no answer: the client goes on trying and failing.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(1);
/// How long one look for the next record takes.
const LOOK: Duration = Duration::from_millis(100);

/// Why the topic cannot be read.
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
        "there is no topic {DEAD_LETTER_TOPIC} at {servers}: see whether --kafka names the \
         workflow's brokers"
    )]
    NoTopic { servers: String },
    /// The records stop coming before the end.
    #[error(
        "{DEAD_LETTER_TOPIC} cannot be read to its end: see whether you may read it, and try \
         again: {trouble}"
    )]
    Stuck { trouble: String },
}

/// Reads the whole topic; the entries come in the order of their positions.
///
/// # Errors
/// [`ReadError`] says what to look at.
pub(crate) async fn read(brokers: &Brokers) -> Result<Vec<Entry>, ReadError> {
    let brokers = brokers.clone();
    let letters = tokio::task::spawn_blocking(move || letters(&brokers)).await;
    letters.unwrap_or_else(|cut_off| Err(stuck(cut_off.to_string()))).map(entries)
}

/// Blocks until everything is read.
fn letters(brokers: &Brokers) -> Result<Vec<Letter>, ReadError> {
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
    let mut letters = Vec::new();
    let mut ends = assign(&consumer, &brokers.bootstrap_servers)?;
    let mut heard = Instant::now();
    let mut trouble = "nothing came any more".to_owned();
    while !ends.is_empty() {
        match consumer.poll(LOOK) {
            Some(Ok(message)) => {
                let (partition, next) = (message.partition(), message.offset().saturating_add(1));
                if ends.get(&partition).is_some_and(|end| next >= *end) {
                    ends.remove(&partition);
                }
                letters.push(letter(&message));
                heard = Instant::now();
            }
            // The last offset may hold no record, such as the mark of a transaction.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ends.remove(&partition);
                heard = Instant::now();
                // The client reports it as an error, which it is not.
                drop(consumer.context().take_last_error());
            }
            // The client tries again by itself.
            Some(Err(error)) => trouble = error.to_string(),
            None => {}
        }
        if heard.elapsed() > ANSWER_WITHIN {
            return Err(stuck(consumer.context().take_last_error().unwrap_or(trouble)));
        }
    }
    Ok(letters)
}

/// Assigns every partition from its beginning; returns the ends of those that hold anything.
fn assign(
    consumer: &BaseConsumer<Context>,
    servers: &str,
) -> Result<BTreeMap<i32, i64>, ReadError> {
    let silent = |error: KafkaError| {
        // Why the way is barred, such as a sign-in that is refused, is only heard by polling.
        let asked = Instant::now();
        while asked.elapsed() < EXPLAINED_WITHIN && consumer.poll(LOOK).is_some() {}
        let trouble = consumer.context().take_last_error().unwrap_or_else(|| error.to_string());
        ReadError::Silent { servers: servers.to_owned(), trouble }
    };
    let metadata =
        consumer.fetch_metadata(Some(DEAD_LETTER_TOPIC), ANSWER_WITHIN).map_err(silent)?;
    let topics = metadata.topics().iter();
    let partitions: Vec<i32> =
        topics.flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
    if partitions.is_empty() {
        return Err(ReadError::NoTopic { servers: servers.to_owned() });
    }
    let mut ends = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        let (beginning, end) = consumer
            .fetch_watermarks(DEAD_LETTER_TOPIC, partition, ANSWER_WITHIN)
            .map_err(silent)?;
        if beginning < end {
            ends.insert(partition, end);
            let offset = Offset::Offset(beginning);
            assignment
                .add_partition_offset(DEAD_LETTER_TOPIC, partition, offset)
                .map_err(silent)?;
        }
    }
    consumer.assign(&assignment).map_err(silent)?;
    Ok(ends)
}

fn stuck(trouble: String) -> ReadError {
    ReadError::Stuck { trouble }
}

fn letter(message: &impl Message) -> Letter {
    Letter {
        position: Position::new(message.topic(), message.partition(), message.offset()),
        timestamp_ms: message.timestamp().to_millis().filter(|milliseconds| *milliseconds >= 0),
        key: message.key().map(ToOwned::to_owned),
        value: message.payload().unwrap_or_default().to_owned(),
    }
}
