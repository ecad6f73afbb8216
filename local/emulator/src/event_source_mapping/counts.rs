//! The record counts of a mapping.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct MappingCounts {
    invocations: AtomicU64,
    delivered: AtomicU64,
    redelivered: AtomicU64,
    dead_lettered: AtomicU64,
    retrying: AtomicU64,
}

/// The counts at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MappingCountsSnapshot {
    pub invocations: u64,
    /// Records that the function has finished.
    pub delivered: u64,
    /// Records delivered again after a failure, counted each time.
    pub redelivered: u64,
    /// Records given up.
    pub dead_lettered: u64,
    /// Records that were delivered, are not finished, and will be delivered again.
    pub retrying: u64,
}

impl MappingCounts {
    #[must_use]
    pub fn snapshot(&self) -> MappingCountsSnapshot {
        MappingCountsSnapshot {
            invocations: self.invocations.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            redelivered: self.redelivered.load(Ordering::Relaxed),
            dead_lettered: self.dead_lettered.load(Ordering::Relaxed),
            retrying: self.retrying.load(Ordering::Relaxed),
        }
    }

    pub(super) fn invoked(&self) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, records: usize) {
        add(&self.delivered, records);
    }

    pub(super) fn redelivered(&self, records: usize) {
        add(&self.redelivered, records);
    }

    pub(super) fn dead_lettered(&self, records: usize) {
        add(&self.dead_lettered, records);
    }
}

/// The contribution of one batch to `retrying`, while the batch is in flight.
pub(super) struct Retrying<'a> {
    counts: &'a MappingCounts,
    records: u64,
}

impl<'a> Retrying<'a> {
    pub(super) fn none(counts: &'a MappingCounts) -> Self {
        Self { counts, records: 0 }
    }

    /// Sets the number of records in the batch that are retried.
    pub(super) fn set(&mut self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.counts.retrying.fetch_add(records, Ordering::Relaxed);
        self.counts.retrying.fetch_sub(self.records, Ordering::Relaxed);
        self.records = records;
    }
}

impl Drop for Retrying<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn add(counter: &AtomicU64, records: usize) {
    counter.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
}
