//! Reads the records of one partition.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::Shared;
use super::consumer::{BROKER_TIMEOUT, PartitionQueue};
use super::event::Record;

/// A partition and the records of it that are read ahead.
pub(super) struct Partition {
    pub(super) number: i32,
    shared: Arc<Shared>,
    queue: PartitionQueue,
    /// Read, but not yet part of a batch.
    buffered: VecDeque<Record>,
    /// The offset to read next; `None` if it is not known.
    next_offset: Option<i64>,
}

impl Partition {
    /// `first` are the records that were read before the partition had its own queue.
    pub(super) fn new(
        shared: Arc<Shared>,
        number: i32,
        queue: PartitionQueue,
        start: Offset,
        first: Vec<Record>,
    ) -> Self {
        let start = if let Offset::Offset(start) = start { Some(start) } else { None };
        let next_offset = first.last().map(|record| record.next_offset).or(start);
        Self { number, shared, queue, buffered: first.into(), next_offset }
    }

    /// Waits until a record is buffered. Cancel safe.
    pub(super) async fn wait_for_record(&mut self) {
        if self.buffered.is_empty() {
            let record = self.read().await;
            self.buffered.push_back(record);
        }
    }

    /// The next record, if it has arrived.
    pub(super) fn next_ready(&mut self) -> Option<Record> {
        self.buffered.pop_front().or_else(|| self.read().now_or_never())
    }

    /// Puts back a record that [`Self::next_ready`] returned.
    pub(super) fn put_back(&mut self, record: Record) {
        self.buffered.push_front(record);
    }

    /// The next record of the queue. Cancel safe.
    async fn read(&mut self) -> Record {
        let mut stream = self.queue.stream();
        loop {
            match stream.next().await {
                Some(Ok(message)) => {
                    if self.shared.unreadable.remove(self.number) {
                        tracing::warn!(
                            topic = self.shared.mapping.topic,
                            partition = self.number,
                            "the partition is read again"
                        );
                    }
                    let record = self.shared.record(&message);
                    if self.next_offset.is_some_and(|expected| expected < record.offset) {
                        self.report_dropped(record.offset);
                    }
                    self.next_offset = Some(record.next_offset);
                    return record;
                }
                // The client retries without limit.
                Some(Err(error)) => self.set_unreadable(&reason(&error)),
                // The stream of a partition never ends.
                None => std::future::pending().await,
            }
        }
    }

    /// Logs a gap before this offset, if the broker has dropped its records. Compaction and
    /// transactions leave gaps that begin at an offset that the broker still has.
    fn report_dropped(&self, found: i64) {
        let (shared, partition) = (Arc::clone(&self.shared), self.number);
        let expected = self.next_offset;
        tokio::task::spawn_blocking(move || {
            let topic = &shared.mapping.topic;
            let watermarks = shared.consumer.fetch_watermarks(topic, partition, BROKER_TIMEOUT);
            if watermarks.is_ok_and(|(oldest, _)| Some(oldest) > expected) {
                tracing::error!(
                    topic,
                    partition,
                    next = expected,
                    oldest = found,
                    "the broker has dropped unread records: reading continues at its oldest"
                );
            }
        });
    }

    /// Records that the partition cannot be read, and logs it if the reason is new.
    fn set_unreadable(&self, reason: &str) {
        if self.shared.unreadable.insert(self.number, reason) {
            let topic = &self.shared.mapping.topic;
            let offset = self.shared.offsets.positions().get(&self.number).copied();
            tracing::error!(
                topic,
                partition = self.number,
                offset,
                reason,
                "the partition cannot be read: its records wait"
            );
        }
    }
}

/// Describes an error of a partition.
fn reason(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::NotImplemented) => {
            "the next batch has a codec or format that the client does not support".to_owned()
        }
        Some(RDKafkaErrorCode::BadCompression) => {
            "the next batch cannot be decompressed".to_owned()
        }
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}
