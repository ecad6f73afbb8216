//! How is a batch brought to its end: invoked, tried again, halved, given up, and marked done?

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::Shared;
use super::answer::{Verdict, verdict};
use super::dead_letter::{Condition, GivenUp};
use super::event::EventFrame;
use super::record::Record;
use super::retry::{Chunk, Step};
use crate::invoke::{Answer, InvokeError};

/// Pauses between attempts: AWS waits longer, but on one machine somebody is watching.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Delivers the batches of one partition.
pub(super) struct Delivery<'a> {
    pub(super) shared: &'a Shared,
    pub(super) frame: &'a EventFrame,
    pub(super) partition: i32,
}

/// What came of handing a chunk over.
enum Attempt {
    /// The function was asked, or the event is larger than it may be asked with.
    Made { verdict: Verdict, function_failed: bool },
    /// The function was not reached, which counts as no attempt.
    NotMade,
}

impl Delivery<'_> {
    /// Brings a batch to its end; `false` when the mapping stops before that.
    pub(super) async fn deliver(&self, records: &[Record], permit: SemaphorePermit<'_>) -> bool {
        let mut permit = Some(permit);
        let mut chunks = VecDeque::from([Chunk { range: 0..records.len(), failures: 0 }]);
        let mut pauses: u32 = 0;
        let mut attempted = 0;
        while let Some(chunk) = chunks.pop_front() {
            let Some(chunk) = self.without_expired(records, chunk).await else { continue };
            let leave = match permit.take() {
                Some(permit) => permit,
                None => match self.leave().await {
                    Some(permit) => permit,
                    None => return false,
                },
            };
            let batch = records.get(chunk.range.clone()).unwrap_or_default();
            if chunk.range.start < attempted {
                self.shared.counts.redelivered(batch.len());
            }
            let attempt = self.attempt(batch).await;
            drop(leave);
            let Attempt::Made { verdict, function_failed } = attempt else {
                chunks.push_front(chunk);
                pauses = pauses.saturating_add(1);
                if !self.pause(pauses).await {
                    return false;
                }
                continue;
            };
            attempted = attempted.max(chunk.range.end);
            let step = self.shared.policy.after(&chunk, absolute(verdict, chunk.range.start));
            self.finish(records, &step.finished);
            self.give_up(records, &step, &chunk, verdict, function_failed).await;
            let progressed = !step.finished.is_empty() || !step.given_up.is_empty();
            pauses = if progressed { 0 } else { pauses };
            for again in step.again.into_iter().rev() {
                chunks.push_front(again);
            }
            if step.pauses {
                pauses = pauses.saturating_add(1);
                if !self.pause(pauses).await {
                    return false;
                }
            }
        }
        true
    }

    /// Hands over a chunk once.
    async fn attempt(&self, batch: &[Record]) -> Attempt {
        let mapping = &self.shared.mapping;
        self.shared.counts.invoked();
        match self.shared.invoke.invoke(&mapping.function, self.frame.event(batch)).await {
            Ok(Answer::Returned(body)) if mapping.reports_item_failures => Attempt::Made {
                verdict: verdict(&body, &self.frame.partition_key, batch),
                function_failed: false,
            },
            // Without ReportBatchItemFailures a list of failures is not read: it means success.
            Ok(Answer::Returned(_)) => {
                Attempt::Made { verdict: Verdict::Done, function_failed: false }
            }
            Ok(Answer::Failed(error)) => {
                tracing::warn!(
                    mapping = mapping.logical_id,
                    partition = self.frame.partition_key,
                    records = batch.len(),
                    error = error.error_message,
                    "the function failed"
                );
                Attempt::Made { verdict: Verdict::Failed, function_failed: true }
            }
            Err(InvokeError::TooLarge { .. }) => {
                Attempt::Made { verdict: Verdict::TooLarge, function_failed: false }
            }
            Err(error) => {
                tracing::warn!(mapping = mapping.logical_id, error = %error, "tried again");
                Attempt::NotMade
            }
        }
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

    async fn give_up(
        &self,
        records: &[Record],
        step: &Step,
        chunk: &Chunk,
        verdict: Verdict,
        function_failed: bool,
    ) {
        let condition = match verdict {
            Verdict::TooLarge => Condition::MaximumPayloadSizeExceeded,
            Verdict::Done | Verdict::FailedFrom(_) | Verdict::Failed => Condition::RetriesExhausted,
        };
        let invocations = chunk.failures.saturating_add(1);
        let given_up = GivenUp { condition, invocations, function_failed };
        self.dead_letter(records, &step.given_up, &given_up).await;
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
    async fn pause(&self, pauses: u32) -> bool {
        let doublings = pauses.saturating_sub(1).min(10);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
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
