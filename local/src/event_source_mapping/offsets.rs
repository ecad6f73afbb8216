//! Up to where is each partition done with, and does the broker know?
//!
//! Only what is done with is ever committed. Commits are gathered for a moment, because each is a
//! request to the broker; a crash in between costs redeliveries, never records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::consumer::MappingConsumer;

/// How long finished offsets are gathered before they are committed.
const GATHERED_FOR: Duration = Duration::from_millis(50);

/// The finished offsets of a mapping.
pub(super) struct Offsets {
    consumer: Arc<MappingConsumer>,
    topic: String,
    /// Where reading started, by partition; never committed, as nothing was done there yet.
    start: Mutex<BTreeMap<i32, i64>>,
    /// The offset to go on from, by partition.
    next: Mutex<BTreeMap<i32, i64>>,
    uncommitted: Arc<Notify>,
}

impl Offsets {
    pub(super) fn new(
        consumer: Arc<MappingConsumer>,
        topic: &str,
        uncommitted: Arc<Notify>,
    ) -> Self {
        let (start, next) = (Mutex::default(), Mutex::default());
        Self { consumer, topic: topic.to_owned(), start, next, uncommitted }
    }

    /// Reading starts here.
    pub(super) fn start_at(&self, positions: impl IntoIterator<Item = (i32, i64)>) {
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        start.extend(positions);
    }

    /// The offset before which each partition is done with, where that is known.
    pub(super) fn positions(&self) -> BTreeMap<i32, i64> {
        let mut positions = self.start.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        positions.extend(next.iter());
        positions
    }

    /// Everything of the partition before this offset is done with.
    pub(super) fn finish(&self, partition: i32, next: i64) {
        let mut offsets = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.insert(partition, next);
        drop(offsets);
        self.uncommitted.notify_one();
    }

    /// Commits for as long as the mapping runs.
    pub(super) async fn keep_committed(&self) {
        loop {
            self.uncommitted.notified().await;
            tokio::time::sleep(GATHERED_FOR).await;
            if let Err(error) = self.commit(CommitMode::Async) {
                tracing::debug!(%error, "offsets are committed again");
                self.uncommitted.notify_one();
            }
        }
    }

    /// Commits and waits for the broker. Blocks.
    pub(super) fn commit_and_wait(&self) {
        if let Err(error) = self.commit(CommitMode::Sync) {
            tracing::warn!(topic = self.topic, %error,
                "the last offsets are not committed: the records since then will come again");
        }
    }

    fn commit(&self, mode: CommitMode) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let offsets = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (partition, next) in &offsets {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
        }
        if offsets.is_empty() { Ok(()) } else { self.consumer.commit(&list, mode) }
    }
}
