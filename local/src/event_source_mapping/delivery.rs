//! How is a batch brought to its end: invoked, tried again, halved, given up, and marked done?

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::Shared;
use super::answer::Verdict;
use super::attempt::{Attempt, attempt};
use super::counts::Retrying;
use super::dead_letter::{Condition, GivenUp};
use super::event::EventFrame;
use super::record::Record;
use super::retry::Chunk;

/// Pauses between attempts: AWS waits longer, but on one machine somebody is watching.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Delivers the batches of one partition.
pub(super) struct Delivery<'a> {
    pub(super) shared: &'a Shared,
    pub(super) frame: &'a EventFrame,
    pub(super) partition: i32,
}

/// A batch on its way.
struct Batch<'a> {
    records: &'a [Record],
    /// What is left to hand over, in order.
    chunks: VecDeque<Chunk>,
    /// Records before this index have been handed over at least once.
    attempted: usize,
    /// Pauses since the last record was done with.
    pauses: u32,
}

impl Batch<'_> {
    fn put_back(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks.into_iter().rev() {
            self.chunks.push_front(chunk);
        }
    }
}

impl Delivery<'_> {
    /// Brings a batch to its end; `false` when the mapping stops before that.
    pub(super) async fn deliver(&self, records: &[Record], permit: SemaphorePermit<'_>) -> bool {
        let mut permit = Some(permit);
        let whole = Chunk { range: 0..records.len(), failures: 0 };
        let mut batch = Batch { records, chunks: [whole].into(), attempted: 0, pauses: 0 };
        let mut retrying = Retrying::none(&self.shared.counts);
        while let Some(chunk) = batch.chunks.pop_front() {
            let Some(chunk) = self.without_expired(records, chunk).await else { continue };
            let leave = match permit.take() {
                Some(permit) => Some(permit),
                None => self.leave().await,
            };
            let Some(leave) = leave else { return false };
            let handed_over = records.get(chunk.range.clone()).unwrap_or_default();
            if chunk.range.start < batch.attempted {
                self.shared.counts.redelivered(handed_over.len());
            }
            let attempt = attempt(self.shared, self.frame, handed_over).await;
            // Whoever pauses leaves the function to other partitions.
            drop(leave);
            let pauses = self.settle(&mut batch, chunk, attempt).await;
            // The first attempt is at the whole batch, so what is left now is tried again.
            retrying.set(batch.chunks.iter().map(|chunk| chunk.range.len()).sum());
            if pauses && !self.pause(&mut batch).await {
                return false;
            }
        }
        true
    }

    /// Draws the consequences of an attempt; tells whether to pause before the next.
    async fn settle(&self, batch: &mut Batch<'_>, chunk: Chunk, attempt: Attempt) -> bool {
        let (verdict, function_failed) = match attempt {
            Attempt::Made { verdict, function_failed } => (verdict, function_failed),
            Attempt::NotMade(error) => {
                if batch.pauses == 0 {
                    let mapping = &self.shared.mapping.logical_id;
                    tracing::warn!(mapping, %error, "tried again until it is answered");
                }
                batch.put_back(vec![chunk]);
                return true;
            }
        };
        batch.attempted = batch.attempted.max(chunk.range.end);
        let step = self.shared.policy.after(&chunk, absolute(verdict, chunk.range.start));
        self.finish(batch.records, &step.finished);
        let given_up = GivenUp {
            condition: match verdict {
                Verdict::TooLarge => Condition::MaximumPayloadSizeExceeded,
                _ => Condition::RetriesExhausted,
            },
            invocations: chunk.failures.saturating_add(1),
            function_failed,
        };
        self.dead_letter(batch.records, &step.given_up, &given_up).await;
        if !step.finished.is_empty() || !step.given_up.is_empty() {
            batch.pauses = 0;
        }
        batch.put_back(step.again);
        step.pauses
    }

    /// Gives up what is too old at the front of a chunk; the rest, if any, is left.
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

    /// Writes records to the on-failure topic, where there is one, and marks them done.
    async fn dead_letter(&self, records: &[Record], range: &Range<usize>, given_up: &GivenUp) {
        let shared = self.shared;
        for record in records.get(range.clone()).unwrap_or_default() {
            tracing::warn!(mapping = shared.mapping.logical_id, offset = record.offset,
                partition = self.frame.partition_key, condition = ?given_up.condition,
                "a record is given up");
            if let Some(dead_letters) = &shared.dead_letters {
                dead_letters.send(self.frame, record, given_up).await;
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

    /// Leave for another invocation; `None` when the mapping stops.
    async fn leave(&self) -> Option<SemaphorePermit<'_>> {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            permit = self.shared.permit() => permit,
        }
    }

    /// Waits before the next attempt; `false` when the mapping stops meanwhile.
    async fn pause(&self, batch: &mut Batch<'_>) -> bool {
        let doubled = FIRST_PAUSE.saturating_mul(1 << batch.pauses.min(10));
        let pause = doubled.min(LONGEST_PAUSE);
        batch.pauses = batch.pauses.saturating_add(1);
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

/// A verdict counts from the start of its chunk; the policy counts from the start of the batch.
fn absolute(verdict: Verdict, chunk_start: usize) -> Verdict {
    match verdict {
        Verdict::FailedFrom(index) => Verdict::FailedFrom(chunk_start.saturating_add(index)),
        other => other,
    }
}
