//! Works through one partition: batch after batch, the next only when the last is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::consumer::{Partition, PartitionQueue};
use super::delivery::Delivery;
use super::event::{EVENT_LIMIT, EventFrame};
use super::record::Record;
use super::unreadable::reason;

/// Works through a partition until the mapping stops.
pub(super) async fn work_through(shared: Arc<Shared>, partition: Partition) {
    let Partition { number, queue, first } = partition;
    let servers = &shared.bootstrap_servers;
    let frame = EventFrame::new(servers, &shared.mapping.topic, number);
    let held_bytes = first.iter().map(Record::size).sum();
    let mut reader = Reader { shared: &shared, queue, number, held: first.into(), held_bytes };
    let delivery = Delivery { shared: &shared, frame: &frame, partition: number };
    let mut stopping = shared.stopping.clone();
    loop {
        let batch = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            batch = reader.batch(&frame) => batch,
        };
        let Some((records, permit)) = batch else { return };
        if !delivery.deliver(&records, permit).await {
            return;
        }
    }
}

/// Reads batches from the queue of a partition.
struct Reader<'a> {
    shared: &'a Shared,
    queue: PartitionQueue,
    number: i32,
    /// Read, and not yet part of a batch.
    held: VecDeque<Record>,
    /// Bytes of what is held.
    held_bytes: usize,
}

impl<'a> Reader<'a> {
    /// The next batch, with leave to hand it over; `None` when the mapping ends.
    ///
    /// Cancelling loses nothing: what was read is held for the next batch.
    async fn batch(&mut self, frame: &EventFrame) -> Option<(Vec<Record>, SemaphorePermit<'a>)> {
        let window = self.shared.mapping.window;
        if self.held.is_empty() {
            let first = self.read().await;
            self.hold(first);
        }
        let window_end = Instant::now() + window;
        while window > Duration::ZERO && self.has_room(frame) {
            match timeout_at(window_end, self.read()).await {
                Ok(record) => self.hold(record),
                Err(_) => break,
            }
        }
        // What arrives while another batch has the leave goes into this one.
        let permit = self.shared.permit().await?;
        while self.has_room(frame)
            && let Some(record) = self.read().now_or_never()
        {
            self.hold(record);
        }
        Some((self.take_batch(frame), permit))
    }

    fn hold(&mut self, record: Record) {
        self.held_bytes = self.held_bytes.saturating_add(record.size());
        self.held.push_back(record);
    }

    fn has_room(&self, frame: &EventFrame) -> bool {
        self.held.len() < self.shared.mapping.batch_size
            && frame.empty_size().saturating_add(self.held_bytes) < EVENT_LIMIT
    }

    /// Takes what fits into one event; a record that is too large alone is taken alone.
    fn take_batch(&mut self, frame: &EventFrame) -> Vec<Record> {
        let mut room = EVENT_LIMIT.saturating_sub(frame.empty_size());
        let mut batch = Vec::new();
        while batch.len() < self.shared.mapping.batch_size
            && let Some(record) = self.held.pop_front()
        {
            if record.size() > room && !batch.is_empty() {
                self.held.push_front(record);
                break;
            }
            room = room.saturating_sub(record.size());
            self.held_bytes = self.held_bytes.saturating_sub(record.size());
            batch.push(record);
        }
        batch
    }

    /// The next record of the partition. Cancelling loses nothing.
    async fn read(&self) -> Record {
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
                    return Record::of(&message, jiff::Timestamp::now().as_millisecond());
                }
                Some(Err(error)) => self.recover(&error),
                // The stream of a partition has no end.
                None => std::future::pending().await,
            }
        }
    }

    /// A broker that no longer has the offset has dropped records: said aloud, then read on. Any
    /// other error the client tries again by itself, without end.
    fn recover(&self, error: &KafkaError) {
        let topic = &self.shared.mapping.topic;
        let dropped = [RDKafkaErrorCode::AutoOffsetReset, RDKafkaErrorCode::OffsetOutOfRange];
        if !error.rdkafka_error_code().is_some_and(|code| dropped.contains(&code)) {
            self.stand_still(&reason(error));
            return;
        }
        tracing::error!(%error, topic, partition = self.number,
            "the broker has dropped records that were not read yet; reading goes on at its oldest");
        let consumer = &self.shared.consumer;
        if let Err(error) = consumer.seek(topic, self.number, Offset::Beginning, Duration::ZERO) {
            self.stand_still(&error.to_string());
        }
    }

    /// Says that the partition cannot be read, unless that is known.
    fn stand_still(&self, reason: &str) {
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
