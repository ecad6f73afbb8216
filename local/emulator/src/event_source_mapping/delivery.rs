//! Delivers a batch until each of its records is finished or given up.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::Shared;
use super::dead_letter::{Condition, GivenUp};
use super::event::{EventEncoder, Record};
use super::handle::Retrying;
use super::invocation::{BatchResult, Invocation, invoke};
use super::retry::Chunk;

/// Backoff between attempts; shorter than in AWS, as a person is waiting.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Delivers the batches of one partition.
pub(super) struct Delivery<'a> {
    pub(super) shared: &'a Shared,
    pub(super) encoder: &'a EventEncoder,
    pub(super) partition: i32,
}

/// A batch in flight.
struct Batch<'a> {
    records: &'a [Record],
    /// Not finished yet, in order.
    chunks: VecDeque<Chunk>,
    /// Records before this index have been delivered at least once.
    attempted: usize,
    /// Backoffs since the last record was finished or given up.
    backoffs: u32,
}

impl Batch<'_> {
    fn requeue(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks.into_iter().rev() {
            self.chunks.push_front(chunk);
        }
    }
}

impl Delivery<'_> {
    /// Delivers a batch; `false` if the mapping stops before the batch is finished.
    pub(super) async fn deliver(&self, records: &[Record], permit: SemaphorePermit<'_>) -> bool {
        let mut permit = Some(permit);
        let whole = Chunk { range: 0..records.len(), failures: 0 };
        let mut batch = Batch { records, chunks: [whole].into(), attempted: 0, backoffs: 0 };
        let mut retrying = Retrying::none(&self.shared.counts);
        while let Some(chunk) = batch.chunks.pop_front() {
            let Some(chunk) = self.without_expired(records, chunk).await else { continue };
            let acquired = match permit.take() {
                Some(permit) => Some(permit),
                None => self.acquire_permit().await,
            };
            let Some(acquired) = acquired else { return false };
            let delivered = records.get(chunk.range.clone()).unwrap_or_default();
            if chunk.range.start < batch.attempted {
                self.shared.counts.redelivered(delivered.len());
            }
            let invocation = invoke(self.shared, self.encoder, delivered).await;
            // Other partitions may invoke the function during the backoff.
            drop(acquired);
            let backs_off = self.apply(&mut batch, chunk, invocation).await;
            // The first attempt was with the whole batch, so the remaining chunks are retries.
            retrying.set(batch.chunks.iter().map(|chunk| chunk.range.len()).sum());
            if backs_off && !self.back_off(&mut batch).await {
                return false;
            }
        }
        true
    }

    /// Applies the result of an invocation; returns whether to back off before the next.
    async fn apply(&self, batch: &mut Batch<'_>, chunk: Chunk, invocation: Invocation) -> bool {
        let (result, function_failed) = match invocation {
            Invocation::Completed { result, function_failed } => (result, function_failed),
            Invocation::NotReached(error) => {
                if batch.backoffs == 0 {
                    let mapping = &self.shared.mapping.logical_id;
                    tracing::warn!(mapping, %error, "the batch is retried");
                }
                batch.requeue(vec![chunk]);
                return true;
            }
        };
        batch.attempted = batch.attempted.max(chunk.range.end);
        let step = self.shared.policy.after(&chunk, absolute(result, chunk.range.start));
        self.finish(batch.records, &step.finished);
        let given_up = GivenUp {
            condition: match result {
                BatchResult::TooLarge => Condition::MaximumPayloadSizeExceeded,
                _ => Condition::RetriesExhausted,
            },
            invocations: chunk.failures.saturating_add(1),
            function_failed,
        };
        self.dead_letter(batch.records, &step.given_up, &given_up).await;
        if !step.finished.is_empty() || !step.given_up.is_empty() {
            batch.backoffs = 0;
        }
        batch.requeue(step.again);
        step.backs_off
    }

    /// Gives up the expired records at the front of a chunk; returns the rest.
    async fn without_expired(&self, records: &[Record], chunk: Chunk) -> Option<Chunk> {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let batch = records.get(chunk.range.clone()).unwrap_or_default();
        let expired = self.shared.policy.expired(batch, now_ms);
        if expired == 0 {
            return Some(chunk);
        }
        let Range { start, end } = chunk.range;
        let first_kept = start.saturating_add(expired);
        let given_up = GivenUp {
            condition: Condition::RecordAgeExceeded,
            invocations: chunk.failures,
            function_failed: chunk.failures > 0,
        };
        self.dead_letter(records, &(start..first_kept), &given_up).await;
        (first_kept < end).then_some(Chunk { range: first_kept..end, failures: 0 })
    }

    /// Publishes records to the on-failure topic, if there is one, and finishes them.
    async fn dead_letter(&self, records: &[Record], range: &Range<usize>, given_up: &GivenUp) {
        let shared = self.shared;
        for record in records.get(range.clone()).unwrap_or_default() {
            tracing::warn!(mapping = shared.mapping.logical_id, offset = record.offset,
                partition = self.encoder.partition_key, condition = ?given_up.condition,
                "a record is given up");
            if let Some(dead_letters) = &shared.dead_letters {
                dead_letters.send(self.encoder, record, given_up).await;
            }
            shared.counts.dead_lettered(1);
            shared.offsets.finish(self.partition, record.offset.saturating_add(1));
        }
    }

    fn finish(&self, records: &[Record], range: &Range<usize>) {
        let finished = records.get(range.clone()).unwrap_or_default();
        if let Some(last) = finished.last() {
            self.shared.counts.delivered(finished.len());
            self.shared.offsets.finish(self.partition, last.offset.saturating_add(1));
        }
    }

    /// Permit for another invocation; `None` if the mapping stops.
    async fn acquire_permit(&self) -> Option<SemaphorePermit<'_>> {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            permit = self.shared.permit() => permit,
        }
    }

    /// Waits before the next attempt; `false` if the mapping stops meanwhile.
    async fn back_off(&self, batch: &mut Batch<'_>) -> bool {
        let doubled = FIRST_BACKOFF.saturating_mul(1 << batch.backoffs.min(10));
        let backoff = doubled.min(MAX_BACKOFF);
        batch.backoffs = batch.backoffs.saturating_add(1);
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep(backoff) => true,
        }
    }
}

/// Converts an index in the chunk to an index in the batch.
fn absolute(result: BatchResult, chunk_start: usize) -> BatchResult {
    match result {
        BatchResult::FailedFrom(index) => {
            BatchResult::FailedFrom(chunk_start.saturating_add(index))
        }
        other => other,
    }
}
