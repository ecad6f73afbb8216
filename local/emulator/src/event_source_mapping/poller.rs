//! Gathers batches from the partitions of a topic, and delivers several at a time.
//!
//! A partition whose records are in flight is not read until they are finished or given up. So each
//! partition keeps its order, and one that is retried delays no other.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::batch::Batch;
use super::delivery::Delivery;
use super::event::Record;
use super::partition::Partition;

pub(super) struct Poller {
    shared: Arc<Shared>,
    delivery: Arc<Delivery>,
    /// Without records in flight; the one that was served last comes last.
    free: Vec<Partition>,
    /// With records in flight.
    busy: Vec<Partition>,
    /// Numbers of partitions that have no more records in flight.
    freed: mpsc::UnboundedReceiver<i32>,
}

impl Poller {
    pub(super) fn new(shared: Arc<Shared>, partitions: Vec<Partition>) -> Self {
        let (sender, freed) = mpsc::unbounded_channel();
        let delivery = Arc::new(Delivery::new(Arc::clone(&shared), sender));
        Self { shared, delivery, free: partitions, busy: Vec::new(), freed }
    }

    /// Delivers records until the mapping stops, then waits for the invocations in flight.
    pub(super) async fn run(mut self) {
        let mut stopping = self.shared.stopping.clone();
        let mut in_flight = JoinSet::new();
        loop {
            let batch = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => break,
                batch = self.batch() => batch,
            };
            let Some((records, permit)) = batch else { break };
            let delivery = Arc::clone(&self.delivery);
            in_flight.spawn(async move { delivery.deliver(records, permit).await });
            while in_flight.try_join_next().is_some() {}
        }
        while in_flight.join_next().await.is_some() {}
    }

    /// The next batch, with a permit to invoke; `None` when the mapping stops.
    async fn batch(&mut self) -> Option<(Vec<Record>, OwnedSemaphorePermit)> {
        let shared = Arc::clone(&self.shared);
        loop {
            self.wait_for_record().await;
            let mut batch = Batch::new(&shared.encoder, shared.mapping.batch_size);
            let window_end = Instant::now() + shared.mapping.window;
            while shared.mapping.window > Duration::ZERO && !batch.is_full() {
                self.fill(&mut batch);
                if timeout_at(window_end, self.wait_for_record()).await.is_err() {
                    break;
                }
            }
            // Records that arrive while the batch waits for its permit join it.
            let permit = shared.permit().await?;
            self.fill(&mut batch);
            if !batch.is_empty() {
                let records = batch.into_records();
                self.set_busy(&records);
                return Some((records, permit));
            }
        }
    }

    /// Waits until a free partition has a record. Cancel safe.
    async fn wait_for_record(&mut self) {
        loop {
            let mut records: FuturesUnordered<_> =
                self.free.iter_mut().map(Partition::wait_for_record).collect();
            let freed = tokio::select! {
                Some(()) = records.next() => return,
                Some(number) = self.freed.recv() => number,
            };
            drop(records);
            self.set_free(freed);
        }
    }

    /// Adds the records that have arrived.
    fn fill(&mut self, batch: &mut Batch<'_>) {
        while let Ok(number) = self.freed.try_recv() {
            self.set_free(number);
        }
        for partition in &mut self.free {
            while !batch.is_full()
                && let Some(record) = partition.next_ready()
            {
                if !record.is_filtered {
                    if let Err(record) = batch.push(record) {
                        partition.put_back(record);
                    }
                } else if !batch.skip(&record) {
                    self.shared.offsets.finish(record.partition, record.next_offset);
                }
            }
        }
    }

    fn set_free(&mut self, number: i32) {
        if let Some(index) = self.busy.iter().position(|partition| partition.number == number) {
            self.free.push(self.busy.swap_remove(index));
        }
    }

    fn set_busy(&mut self, records: &[Record]) {
        let is_busy = |partition: &mut Partition| {
            records.iter().any(|record| record.partition == partition.number)
        };
        self.busy.extend(self.free.extract_if(.., is_busy));
    }
}
