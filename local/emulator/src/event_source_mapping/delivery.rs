//! Delivers a batch until each of its records is finished or given up.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Shared;
use super::dead_letter::{Condition, GivenUp};
use super::event::Record;
use super::handle::Retrying;
use super::invocation::{BatchResult, Invocation, invoke};
use super::lane::Lane;
use super::retry::{Chunk, partitions_of};

/// Delivers the batches of a mapping.
pub(super) struct Delivery {
    shared: Arc<Shared>,
    freed: mpsc::UnboundedSender<i32>,
}

impl Delivery {
    /// `freed` gets the number of each partition that has no more records in flight.
    pub(super) const fn new(shared: Arc<Shared>, freed: mpsc::UnboundedSender<i32>) -> Self {
        Self { shared, freed }
    }

    /// Delivers the records of a batch. Returns early if the mapping stops.
    pub(super) async fn deliver(&self, records: Vec<Record>, permit: OwnedSemaphorePermit) {
        self.deliver_lane(Lane::new(Chunk::new(records)), Some(permit)).await;
    }

    fn deliver_lane(
        &self,
        mut lane: Lane,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> BoxFuture<'_, ()> {
        let delivered = async move {
            let mut retrying = Retrying::none(&self.shared.counts);
            loop {
                retrying.set(lane.retried_records());
                if lane.backs_off && !self.back_off(&mut lane).await {
                    return;
                }
                let Some(chunk) = lane.chunks.pop_front() else { return };
                let partitions = partitions_of(&chunk.records);
                let again = self.deliver_chunk(chunk, &mut lane, permit.take()).await;
                let Some(again) = again else { return };
                let mut lanes = lane.continued(again);
                self.free(&partitions, &lanes);
                match lanes.pop() {
                    None => return,
                    Some(last) if lanes.is_empty() => lane = last,
                    Some(last) => {
                        drop(retrying);
                        lanes.push(last);
                        let delivered = lanes.into_iter().map(|lane| self.deliver_lane(lane, None));
                        join_all(delivered).await;
                        return;
                    }
                }
            }
        };
        delivered.boxed()
    }

    /// Invokes the function with a chunk, and returns the chunks to deliver next, by lane; `None` if
    /// the mapping stops.
    async fn deliver_chunk(
        &self,
        chunk: Chunk,
        lane: &mut Lane,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Vec<Vec<Chunk>>> {
        let chunk = self.without_expired(chunk).await;
        if chunk.records.is_empty() {
            return Some(vec![]);
        }
        let permit = match permit {
            Some(permit) => permit,
            None => self.acquire_permit().await?,
        };
        if chunk.was_delivered {
            self.shared.counts.redelivered(chunk.records.len());
        }
        let invocation = invoke(&self.shared, &chunk.records).await;
        // Other batches may invoke the function during the backoff.
        drop(permit);
        lane.is_retry = true;
        Some(self.apply(chunk, lane, invocation).await)
    }

    /// Applies the result of an invocation.
    async fn apply(
        &self,
        chunk: Chunk,
        lane: &mut Lane,
        invocation: Invocation,
    ) -> Vec<Vec<Chunk>> {
        let (result, function_failed) = match invocation {
            Invocation::Completed { result, function_failed } => (result, function_failed),
            Invocation::NotReached(error) => {
                if lane.backoffs == 0 {
                    let mapping = &self.shared.mapping.logical_id;
                    tracing::warn!(mapping, %error, "the batch is retried");
                }
                lane.backs_off = true;
                return vec![vec![chunk]];
            }
        };
        let (condition, attempts) = match result {
            BatchResult::TooLarge => (Condition::MaximumPayloadSizeExceeded, 0),
            _ => (Condition::RetriesExhausted, 1),
        };
        let invocations = chunk.failures.saturating_add(attempts);
        let step = self.shared.policy.after(chunk, result);
        if !step.finished.is_empty() || !step.given_up.is_empty() {
            lane.backoffs = 0;
        }
        lane.backs_off = step.backs_off;
        self.finish(&step.finished);
        let given_up = GivenUp { condition, invocations, function_failed };
        self.dead_letter(&step.given_up, &given_up).await;
        step.again
    }

    /// Gives up the expired records at the front of each partition; returns the rest.
    async fn without_expired(&self, chunk: Chunk) -> Chunk {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let failures = chunk.failures;
        let (expired, rest) = self.shared.policy.split_expired(chunk, now_ms);
        let given_up = GivenUp {
            condition: Condition::RecordAgeExceeded,
            invocations: failures,
            function_failed: failures > 0,
        };
        self.dead_letter(&expired, &given_up).await;
        rest
    }

    /// Publishes records to the on-failure topic, if there is one, and finishes them.
    async fn dead_letter(&self, records: &[Record], given_up: &GivenUp) {
        let shared = &self.shared;
        for record in records {
            tracing::warn!(mapping = shared.mapping.logical_id, offset = record.offset,
                partition = shared.encoder.partition_key(record.partition),
                condition = ?given_up.condition, "a record is given up");
            if let Some(dead_letters) = &shared.dead_letters {
                dead_letters.send(&shared.encoder, record, given_up).await;
            }
            shared.counts.dead_lettered(1);
            shared.offsets.finish(record.partition, record.next_offset);
        }
    }

    fn finish(&self, records: &[Record]) {
        self.shared.counts.delivered(records.len());
        for records in records.chunk_by(|one, next| one.partition == next.partition) {
            if let Some(last) = records.last() {
                self.shared.offsets.finish(last.partition, last.next_offset);
            }
        }
    }

    /// Reports the partitions that no remaining lane has.
    fn free(&self, partitions: &BTreeSet<i32>, remaining: &[Lane]) {
        let chunks = remaining.iter().flat_map(|lane| &lane.chunks);
        let held: BTreeSet<i32> = chunks.flat_map(|chunk| partitions_of(&chunk.records)).collect();
        for partition in partitions.difference(&held) {
            // Fails only after the poller has ended.
            self.freed.send(*partition).ok();
        }
    }

    /// Permit for another invocation; `None` if the mapping stops.
    async fn acquire_permit(&self) -> Option<OwnedSemaphorePermit> {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            permit = self.shared.permit() => permit,
        }
    }

    /// Waits before the next attempt; `false` if the mapping stops meanwhile.
    async fn back_off(&self, lane: &mut Lane) -> bool {
        let backoff = lane.next_backoff();
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep(backoff) => true,
        }
    }
}
