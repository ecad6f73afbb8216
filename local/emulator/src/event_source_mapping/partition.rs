//! Delivers one partition, batch after batch: the next only when the last is finished.

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
use super::event::{EVENT_LIMIT, EventEncoder, Record};

/// Delivers the records of a partition until the mapping stops.
pub(super) async fn deliver_all(shared: Arc<Shared>, partition: Partition) {
    let Partition { number, queue, first } = partition;
    let servers = &shared.bootstrap_servers;
    let encoder = EventEncoder::new(servers, &shared.mapping.topic, number);
    let buffered_bytes = first.iter().map(Record::size).sum();
    let mut reader =
        Reader { shared: &shared, queue, number, buffered: first.into(), buffered_bytes };
    let delivery = Delivery { shared: &shared, encoder: &encoder, partition: number };
    let mut stopping = shared.stopping.clone();
    loop {
        let batch = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            batch = reader.batch(&encoder) => batch,
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
    /// Read, but not yet part of a batch.
    buffered: VecDeque<Record>,
    buffered_bytes: usize,
}

impl<'a> Reader<'a> {
    /// The next batch, with a permit to invoke; `None` when the mapping stops.
    ///
    /// Cancel safe: the records that were read are kept for the next batch.
    async fn batch(
        &mut self,
        encoder: &EventEncoder,
    ) -> Option<(Vec<Record>, SemaphorePermit<'a>)> {
        let window = self.shared.mapping.window;
        if self.buffered.is_empty() {
            let first = self.read().await;
            self.buffer(first);
        }
        let window_end = Instant::now() + window;
        while window > Duration::ZERO && self.has_room(encoder) {
            match timeout_at(window_end, self.read()).await {
                Ok(record) => self.buffer(record),
                Err(_) => break,
            }
        }
        // Records that arrive while the batch waits for its permit join it.
        let permit = self.shared.permit().await?;
        while self.has_room(encoder)
            && let Some(record) = self.read().now_or_never()
        {
            self.buffer(record);
        }
        Some((self.take_batch(encoder), permit))
    }

    fn buffer(&mut self, record: Record) {
        self.buffered_bytes = self.buffered_bytes.saturating_add(record.size());
        self.buffered.push_back(record);
    }

    fn has_room(&self, encoder: &EventEncoder) -> bool {
        self.buffered.len() < self.shared.mapping.batch_size
            && encoder.empty_size().saturating_add(self.buffered_bytes) < EVENT_LIMIT
    }

    /// Takes as many records as fit into one event, and at least one.
    fn take_batch(&mut self, encoder: &EventEncoder) -> Vec<Record> {
        let mut room = EVENT_LIMIT.saturating_sub(encoder.empty_size());
        let mut batch = Vec::new();
        while batch.len() < self.shared.mapping.batch_size
            && let Some(record) = self.buffered.pop_front()
        {
            if record.size() > room && !batch.is_empty() {
                self.buffered.push_front(record);
                break;
            }
            room = room.saturating_sub(record.size());
            self.buffered_bytes = self.buffered_bytes.saturating_sub(record.size());
            batch.push(record);
        }
        batch
    }

    /// The next record of the partition. Cancel safe.
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
                // The stream of a partition never ends.
                None => std::future::pending().await,
            }
        }
    }

    /// If the broker has dropped the next records, logs that and continues at its oldest. The client
    /// retries after any other error, without limit.
    fn recover(&self, error: &KafkaError) {
        let topic = &self.shared.mapping.topic;
        let dropped = [RDKafkaErrorCode::AutoOffsetReset, RDKafkaErrorCode::OffsetOutOfRange];
        if !error.rdkafka_error_code().is_some_and(|code| dropped.contains(&code)) {
            self.set_unreadable(&reason(error));
            return;
        }
        tracing::error!(%error, topic, partition = self.number,
            "the broker has dropped unread records: reading continues at its oldest");
        let consumer = &self.shared.consumer;
        if let Err(error) = consumer.seek(topic, self.number, Offset::Beginning, Duration::ZERO) {
            self.set_unreadable(&error.to_string());
        }
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
