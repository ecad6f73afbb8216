//! Chunks that are delivered one after the other, because they have partitions in common.

use std::collections::VecDeque;
use std::time::Duration;

use super::retry::Chunk;

/// Backoff between attempts; shorter than in AWS, as a person is waiting.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

pub(super) struct Lane {
    pub(super) chunks: VecDeque<Chunk>,
    pub(super) is_retry: bool,
    pub(super) backs_off: bool,
    /// Backoffs since the last record was finished or given up.
    pub(super) backoffs: u32,
}

impl Lane {
    pub(super) fn new(chunk: Chunk) -> Self {
        Self { chunks: [chunk].into(), is_retry: false, backs_off: false, backoffs: 0 }
    }

    /// The lanes that are left after the first chunk was delivered: `again` comes before the other
    /// chunks. Only a lane of one chunk is divided.
    pub(super) fn continued(mut self, again: Vec<Vec<Chunk>>) -> Vec<Self> {
        if again.len() > 1 {
            let lane = |chunks: Vec<Chunk>| Self { chunks: chunks.into(), ..self };
            return again.into_iter().map(lane).collect();
        }
        for chunk in again.into_iter().flatten().rev() {
            self.chunks.push_front(chunk);
        }
        if self.chunks.is_empty() { vec![] } else { vec![self] }
    }

    pub(super) fn retried_records(&self) -> usize {
        let records = self.chunks.iter().map(|chunk| chunk.records.len());
        if self.is_retry { records.sum() } else { 0 }
    }

    /// The time to wait now; it doubles.
    pub(super) fn next_backoff(&mut self) -> Duration {
        let doubled = FIRST_BACKOFF.saturating_mul(1 << self.backoffs.min(10));
        self.backoffs = self.backoffs.saturating_add(1);
        doubled.min(MAX_BACKOFF)
    }
}
