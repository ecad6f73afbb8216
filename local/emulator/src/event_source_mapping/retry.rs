//! The retry policy: which records of a batch are finished, retried, halved or given up.
//!
//! The records of a partition keep their order: chunks with a partition in common follow each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::event::Record;
use super::invocation::BatchResult;
use crate::template::Mapping;

#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    bisects_on_error: bool,
    /// `None` for unlimited.
    maximum_retries: Option<u32>,
    /// `None` for unlimited.
    maximum_record_age: Option<Duration>,
}

/// Records that are delivered together, by partition and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) records: Vec<Record>,
    /// Failed attempts of the first record of each partition.
    pub(super) failures: u32,
    pub(super) was_delivered: bool,
}

/// The consequences of an invocation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) finished: Vec<Record>,
    /// Directly after the finished ones of their partitions.
    pub(super) given_up: Vec<Record>,
    /// To be delivered next: lists without a common partition, each in this order.
    pub(super) again: Vec<Vec<Chunk>>,
    pub(super) backs_off: bool,
}

pub(super) fn partitions_of(records: &[Record]) -> BTreeSet<i32> {
    records.iter().map(|record| record.partition).collect()
}

/// Divides records by partition.
fn by_partition(records: Vec<Record>) -> BTreeMap<i32, Vec<Record>> {
    let mut divided: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    for record in records {
        divided.entry(record.partition).or_default().push(record);
    }
    divided
}

impl RetryPolicy {
    pub(super) const fn of(mapping: &Mapping) -> Self {
        Self {
            bisects_on_error: mapping.bisects_on_error,
            maximum_retries: mapping.maximum_retries,
            maximum_record_age: mapping.maximum_record_age,
        }
    }

    pub(super) fn after(&self, mut chunk: Chunk, result: BatchResult) -> Step {
        chunk.was_delivered |= result != BatchResult::TooLarge;
        let has_halves = chunk.records.len() > 1;
        match result {
            BatchResult::Done => Step { finished: chunk.records, ..Step::default() },
            BatchResult::FailedFrom(offsets) => self.after_partial(chunk, &offsets),
            BatchResult::Failed if self.bisects_on_error && has_halves => chunk.halve(),
            BatchResult::TooLarge if has_halves => chunk.halve(),
            BatchResult::TooLarge => Step { given_up: chunk.records, ..Step::default() },
            BatchResult::Failed => {
                chunk.failures = chunk.failures.saturating_add(1);
                if self.is_exhausted(chunk.failures) {
                    Step { given_up: chunk.records, ..Step::default() }
                } else {
                    Step { again: vec![vec![chunk]], backs_off: true, ..Step::default() }
                }
            }
        }
    }

    /// `offsets` has the first failed offset of each partition with a failure.
    fn after_partial(&self, chunk: Chunk, offsets: &BTreeMap<i32, i64>) -> Step {
        let mut step = Step::default();
        for (partition, mut records) in by_partition(chunk.records) {
            let failed = offsets.get(&partition).map_or(records.len(), |failed| {
                records.iter().take_while(|record| record.offset < *failed).count()
            });
            let mut rest = records.split_off(failed);
            let failures = if records.is_empty() { chunk.failures.saturating_add(1) } else { 1 };
            step.finished.extend(records);
            let is_exhausted = !rest.is_empty() && self.is_exhausted(failures);
            if is_exhausted {
                // Only the first record is known to fail: if batches may be split, the others get
                // their own attempts.
                let given_up = if self.bisects_on_error { 1 } else { rest.len() };
                step.given_up.extend(rest.drain(..given_up));
            }
            if !rest.is_empty() {
                step.backs_off |= !is_exhausted;
                let failures = if is_exhausted { 0 } else { failures };
                step.again.push(vec![Chunk { records: rest, failures, was_delivered: true }]);
            }
        }
        step
    }

    fn is_exhausted(&self, failures: u32) -> bool {
        self.maximum_retries.is_some_and(|maximum| failures > maximum)
    }

    /// Takes out the records that exceed the maximum age, at the front of each partition. Without
    /// them the others have their attempts still before them.
    pub(super) fn split_expired(&self, mut chunk: Chunk, now_ms: i64) -> (Vec<Record>, Chunk) {
        let Some(age) = self.maximum_record_age else { return (vec![], chunk) };
        let oldest = now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let is_expired =
            |record: &Record| record.ages_from_ms.is_some_and(|from_ms| from_ms < oldest);
        let mut kept_partitions = BTreeSet::new();
        let mut expired = Vec::new();
        for record in std::mem::take(&mut chunk.records) {
            if is_expired(&record) && !kept_partitions.contains(&record.partition) {
                expired.push(record);
            } else {
                kept_partitions.insert(record.partition);
                chunk.records.push(record);
            }
        }
        if !expired.is_empty() {
            chunk.failures = 0;
        }
        (expired, chunk)
    }
}

impl Chunk {
    pub(super) const fn new(records: Vec<Record>) -> Self {
        Self { records, failures: 0, was_delivered: false }
    }

    /// Does not count as an attempt; the halves are delivered without backoff. Records of several
    /// partitions are divided between two of them, so that neither half waits for the other.
    fn halve(self) -> Step {
        let Self { mut records, failures, was_delivered } = self;
        let middle = records.len() / 2;
        let boundaries = records
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| matches!(pair, [one, next] if one.partition != next.partition))
            .map(|(index, _)| index.saturating_add(1));
        let boundary = boundaries.min_by_key(|index| index.abs_diff(middle));
        let second = records.split_off(boundary.unwrap_or(middle));
        let [first, second] =
            [records, second].map(|records| Self { records, failures, was_delivered });
        let again = match boundary {
            Some(_) => vec![vec![first], vec![second]],
            None => vec![vec![first, second]],
        };
        Step { again, ..Step::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { bisects_on_error: true, maximum_retries: Some(2), maximum_record_age: None };
    const UNDIVIDED: RetryPolicy = RetryPolicy { bisects_on_error: false, ..POLICY };

    fn records(partition: i32, offsets: Range<i64>) -> Vec<Record> {
        offsets.map(|offset| Record::test(partition, offset)).collect()
    }

    /// A chunk of partition 0.
    fn chunk(offsets: Range<i64>, failures: u32) -> Chunk {
        Chunk { records: records(0, offsets), failures, was_delivered: true }
    }

    fn failed_from<const N: usize>(offsets: [(i32, i64); N]) -> BatchResult {
        BatchResult::FailedFrom(offsets.into())
    }

    #[test]
    fn a_failed_batch_is_halved_at_once_and_in_order() {
        let step = POLICY.after(chunk(4..9, 1), BatchResult::Failed);
        assert_eq!(
            step,
            Step { again: vec![vec![chunk(4..6, 1), chunk(6..9, 1)]], ..Step::default() }
        );
    }

    #[test]
    fn a_failed_batch_of_several_partitions_is_divided_between_them() {
        let mut all = chunk(0..1, 0);
        all.records.extend(records(1, 0..3).into_iter().chain(records(2, 7..9)));
        let step = POLICY.after(all, BatchResult::Failed);
        let partitions = step.again.iter().map(|lane| partitions_of(&lane[0].records));
        assert_eq!(partitions.collect::<Vec<_>>(), [[0, 1].into(), [2].into()]);
        assert!(step.again.iter().all(|lane| lane.len() == 1));
    }

    #[test]
    fn a_batch_that_must_not_be_split_is_retried_whole() {
        let step = UNDIVIDED.after(chunk(0..5, 0), BatchResult::Failed);
        assert_eq!(step.again, [[chunk(0..5, 1)]]);
        assert!(step.backs_off);
    }

    #[test]
    fn a_record_is_given_up_after_its_last_retry() {
        assert_eq!(POLICY.after(chunk(3..4, 1), BatchResult::Failed).again, [[chunk(3..4, 2)]]);
        let step = POLICY.after(chunk(3..4, 2), BatchResult::Failed);
        assert_eq!(step, Step { given_up: records(0, 3..4), ..Step::default() });
    }

    #[test]
    fn unlimited_retries_never_give_up() {
        let policy = RetryPolicy { maximum_retries: None, ..POLICY };
        let step = policy.after(chunk(0..1, u32::MAX), BatchResult::Failed);
        assert!(step.given_up.is_empty());
    }

    #[test]
    fn the_records_before_the_checkpoint_are_finished() {
        let step = POLICY.after(chunk(0..5, 2), failed_from([(0, 2)]));
        assert_eq!(step.finished, records(0, 0..2));
        assert_eq!(step.again, [[chunk(2..5, 1)]]);
    }

    #[test]
    fn the_failure_of_a_partition_leaves_the_others_finished() {
        let mut all = chunk(0..3, 1);
        all.records.extend(records(1, 5..8).into_iter().chain(records(2, 1..3)));
        let step = POLICY.after(all, failed_from([(1, 5), (2, 2)]));
        assert_eq!(step.finished, [records(0, 0..3), records(2, 1..2)].concat());
        let rest = |partition, offsets, failures| {
            vec![Chunk { records: records(partition, offsets), failures, was_delivered: true }]
        };
        assert_eq!(step.again, [rest(1, 5..8, 2), rest(2, 2..3, 1)]);
        assert!(step.given_up.is_empty() && step.backs_off);
    }

    #[test]
    fn only_the_reported_record_is_given_up() {
        let step = POLICY.after(chunk(2..5, 2), failed_from([(0, 2)]));
        assert_eq!(step.given_up, records(0, 2..3));
        assert_eq!(step.again, [[chunk(3..5, 0)]]);
        assert!(!step.backs_off);
    }

    #[test]
    fn the_whole_rest_is_given_up_if_batches_must_not_be_split() {
        let step = UNDIVIDED.after(chunk(2..5, 2), failed_from([(0, 2)]));
        assert_eq!(step, Step { given_up: records(0, 2..5), ..Step::default() });
    }

    #[test]
    fn an_event_that_is_too_large_is_halved_down_to_the_record_that_is() {
        let step = UNDIVIDED.after(Chunk::new(records(0, 0..2)), BatchResult::TooLarge);
        let half = |offsets| Chunk::new(records(0, offsets));
        assert_eq!(step.again, [[half(0..1), half(1..2)]]);
        let step = UNDIVIDED.after(chunk(1..2, 0), BatchResult::TooLarge);
        assert_eq!(step.given_up, records(0, 1..2));
    }

    #[test]
    fn records_expire_from_the_front_of_their_partition_and_never_without_a_timestamp() {
        let policy = RetryPolicy { maximum_record_age: Some(Duration::from_secs(60)), ..POLICY };
        let record = |partition, offset, ages_from_ms| Record {
            ages_from_ms,
            ..Record::test(partition, offset)
        };
        let records = vec![
            record(0, 0, Some(1_000)),
            record(0, 1, Some(40_000)),
            record(0, 2, Some(1_000)),
            record(1, 0, None),
            record(1, 1, Some(1_000)),
            record(2, 0, Some(39_999)),
        ];
        let all = Chunk { records, failures: 2, was_delivered: true };
        let (expired, kept) = policy.split_expired(all.clone(), 100_000);
        let positions = |records: &[Record]| {
            records.iter().map(|it| (it.partition, it.offset)).collect::<Vec<_>>()
        };
        assert_eq!(positions(&expired), [(0, 0), (2, 0)]);
        assert_eq!(positions(&kept.records), [(0, 1), (0, 2), (1, 0), (1, 1)]);
        assert_eq!(kept.failures, 0);
        assert_eq!(POLICY.split_expired(all.clone(), 100_000), (vec![], all));
    }
}
