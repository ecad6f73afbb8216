//! How many records has a mapping delivered, delivered again, given up, and is it trying again?

use std::sync::atomic::{AtomicU64, Ordering};

/// The running counts of a mapping.
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
    /// How often the function was invoked.
    pub invocations: u64,
    /// Records that the function is done with.
    pub delivered: u64,
    /// Records handed over again after a failure, once for each time.
    pub redelivered: u64,
    /// Records given up.
    pub dead_lettered: u64,
    /// Records that were handed over, are not done with, and will be handed over again.
    pub retrying: u64,
}

impl MappingCounts {
    /// The counts now.
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

/// What one batch adds to the records that are tried again, for as long as it is under way.
pub(super) struct Retrying<'a> {
    counts: &'a MappingCounts,
    records: u64,
}

impl<'a> Retrying<'a> {
    pub(super) fn none(counts: &'a MappingCounts) -> Self {
        Self { counts, records: 0 }
    }

    /// So many records of the batch are tried again from now on.
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
