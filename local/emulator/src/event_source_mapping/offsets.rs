//! The finished offset of each partition, and its commits.
//!
//! Only finished offsets are committed. Commits are grouped, because each is a request to the
//! broker; a crash before a commit causes redeliveries, but loses no record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::consumer::MappingConsumer;

/// Finished offsets are committed after this time.
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct Offsets {
    consumer: Arc<MappingConsumer>,
    topic: String,
    /// By partition, the offset where reading started; not committed, as no record is finished.
    start: Mutex<BTreeMap<i32, i64>>,
    /// By partition, the offset after the last finished record.
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

    pub(super) fn start_at(&self, positions: impl IntoIterator<Item = (i32, i64)>) {
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        start.extend(positions);
    }

    /// By partition, the next offset to finish, if it is known.
    pub(super) fn positions(&self) -> BTreeMap<i32, i64> {
        let mut positions = self.start.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        positions.extend(next.iter());
        positions
    }

    /// All records of the partition before this offset are finished.
    pub(super) fn finish(&self, partition: i32, next: i64) {
        let mut offsets = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.insert(partition, next);
        drop(offsets);
        self.uncommitted.notify_one();
    }

    /// Commits while the mapping runs.
    pub(super) async fn keep_committed(&self) {
        loop {
            self.uncommitted.notified().await;
            tokio::time::sleep(COMMIT_INTERVAL).await;
            if let Err(error) = self.commit(CommitMode::Async) {
                tracing::debug!(%error, "commit failed; it is retried");
                self.uncommitted.notify_one();
            }
        }
    }

    /// Commits and waits for the broker. Blocks.
    pub(super) fn commit_and_wait(&self) {
        if let Err(error) = self.commit(CommitMode::Sync) {
            tracing::warn!(topic = self.topic, %error,
                "cannot commit the last offsets: their records will be redelivered");
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
