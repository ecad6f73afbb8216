//! The retry policy: which records of a batch are finished, retried, halved or given up.
//!
//! Records keep their order: the chunks that are retried follow each other.

use std::ops::Range;
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

/// Records of a batch that are delivered together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) range: Range<usize>,
    /// Failed attempts of its first record.
    pub(super) failures: u32,
}

/// The consequences of an invocation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) finished: Range<usize>,
    /// Directly after the finished ones.
    pub(super) given_up: Range<usize>,
    /// To be delivered next, in this order.
    pub(super) again: Vec<Chunk>,
    pub(super) backs_off: bool,
}

impl RetryPolicy {
    pub(super) const fn of(mapping: &Mapping) -> Self {
        Self {
            bisects_on_error: mapping.bisects_on_error,
            maximum_retries: mapping.maximum_retries,
            maximum_record_age: mapping.maximum_record_age,
        }
    }

    pub(super) fn after(&self, chunk: &Chunk, result: BatchResult) -> Step {
        let Range { start, end } = chunk.range;
        let halves = chunk.range.len() > 1;
        match result {
            BatchResult::Done => Step::new(start..end, end..end, vec![]),
            BatchResult::FailedFrom(first) => self.after_partial(chunk, first.clamp(start, end)),
            BatchResult::Failed if self.bisects_on_error && halves => chunk.halve(),
            BatchResult::TooLarge if halves => chunk.halve(),
            BatchResult::TooLarge => Step::new(start..start, start..end, vec![]),
            BatchResult::Failed => {
                let failures = chunk.failures.saturating_add(1);
                if self.is_exhausted(failures) {
                    Step::new(start..start, start..end, vec![])
                } else {
                    Step::new(
                        start..start,
                        start..start,
                        vec![Chunk { range: start..end, failures }],
                    )
                }
            }
        }
    }

    fn after_partial(&self, chunk: &Chunk, first: usize) -> Step {
        let Range { start, end } = chunk.range;
        let failures = if first == start { chunk.failures.saturating_add(1) } else { 1 };
        if !self.is_exhausted(failures) {
            let rest = Chunk { range: first..end, failures };
            return Step::new(start..first, first..first, vec![rest]);
        }
        // Only the first record is known to fail: if batches may be split, the others get their own
        // attempts.
        let given_up_end =
            if self.bisects_on_error { first.saturating_add(1).min(end) } else { end };
        let rest = Chunk { range: given_up_end..end, failures: 0 };
        let again = if rest.range.is_empty() { vec![] } else { vec![rest] };
        Step { backs_off: false, ..Step::new(start..first, first..given_up_end, again) }
    }

    fn is_exhausted(&self, failures: u32) -> bool {
        self.maximum_retries.is_some_and(|maximum| failures > maximum)
    }

    /// The number of records at the front that exceed the maximum age.
    pub(super) fn expired(&self, records: &[Record], now_ms: i64) -> usize {
        let Some(age) = self.maximum_record_age else { return 0 };
        let oldest = now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        records
            .iter()
            .take_while(|record| record.ages_from_ms.is_some_and(|from_ms| from_ms < oldest))
            .count()
    }
}

impl Chunk {
    /// Does not count as an attempt; the halves are delivered without backoff.
    fn halve(&self) -> Step {
        let Range { start, end } = self.range;
        let middle = start.midpoint(end);
        let half = |range| Chunk { range, failures: self.failures };
        let again = vec![half(start..middle), half(middle..end)];
        Step { backs_off: false, ..Step::new(start..start, start..start, again) }
    }
}

impl Step {
    fn new(finished: Range<usize>, given_up: Range<usize>, again: Vec<Chunk>) -> Self {
        let backs_off = !again.is_empty();
        Self { finished, given_up, again, backs_off }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { bisects_on_error: true, maximum_retries: Some(2), maximum_record_age: None };

    fn chunk(range: Range<usize>, failures: u32) -> Chunk {
        Chunk { range, failures }
    }

    #[test]
    fn a_failed_batch_is_halved_at_once_and_in_order() {
        let step = POLICY.after(&chunk(4..9, 1), BatchResult::Failed);
        assert_eq!(step.again, [chunk(4..6, 1), chunk(6..9, 1)]);
        assert!(!step.backs_off);
        assert!(step.finished.is_empty() && step.given_up.is_empty());
    }

    #[test]
    fn a_batch_that_must_not_be_split_is_retried_whole() {
        let policy = RetryPolicy { bisects_on_error: false, ..POLICY };
        let step = policy.after(&chunk(0..5, 0), BatchResult::Failed);
        assert_eq!(step.again, [chunk(0..5, 1)]);
        assert!(step.backs_off);
    }

    #[test]
    fn a_record_is_given_up_after_its_last_retry() {
        assert_eq!(POLICY.after(&chunk(3..4, 1), BatchResult::Failed).again, [chunk(3..4, 2)]);
        let step = POLICY.after(&chunk(3..4, 2), BatchResult::Failed);
        assert_eq!(step.given_up, 3..4);
        assert!(step.again.is_empty());
    }

    #[test]
    fn unlimited_retries_never_give_up() {
        let policy = RetryPolicy { maximum_retries: None, ..POLICY };
        let step = policy.after(&chunk(0..1, u32::MAX), BatchResult::Failed);
        assert!(step.given_up.is_empty());
    }

    #[test]
    fn the_records_before_the_checkpoint_are_finished() {
        let step = POLICY.after(&chunk(0..5, 2), BatchResult::FailedFrom(2));
        assert_eq!(step.finished, 0..2);
        assert_eq!(step.again, [chunk(2..5, 1)]);
    }

    #[test]
    fn only_the_reported_record_is_given_up() {
        let step = POLICY.after(&chunk(2..5, 2), BatchResult::FailedFrom(2));
        assert_eq!(step.given_up, 2..3);
        assert_eq!(step.again, [chunk(3..5, 0)]);
    }

    #[test]
    fn the_whole_rest_is_given_up_if_batches_must_not_be_split() {
        let policy = RetryPolicy { bisects_on_error: false, ..POLICY };
        let step = policy.after(&chunk(2..5, 2), BatchResult::FailedFrom(2));
        assert_eq!(step.given_up, 2..5);
        assert!(step.again.is_empty());
    }

    #[test]
    fn an_event_that_is_too_large_is_halved_down_to_the_record_that_is() {
        let policy = RetryPolicy { bisects_on_error: false, ..POLICY };
        assert_eq!(policy.after(&chunk(0..2, 0), BatchResult::TooLarge).again.len(), 2);
        assert_eq!(policy.after(&chunk(1..2, 0), BatchResult::TooLarge).given_up, 1..2);
    }

    #[test]
    fn records_expire_from_the_front_and_never_without_a_timestamp() {
        let policy = RetryPolicy { maximum_record_age: Some(Duration::from_secs(60)), ..POLICY };
        let record = |ages_from_ms| Record {
            offset: 0,
            timestamp_ms: 0,
            ages_from_ms,
            key: None,
            json: String::new(),
        };
        let records = [1_000, 39_999, 40_000, 1_000].map(|from_ms| record(Some(from_ms)));
        assert_eq!(policy.expired(&records, 100_000), 2);
        assert_eq!(policy.expired(&[record(None)], 100_000), 0);
        assert_eq!(POLICY.expired(&records, 100_000), 0);
    }
}
