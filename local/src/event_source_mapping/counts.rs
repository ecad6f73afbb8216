//! How many records has a mapping delivered, delivered again, and given up?

use std::sync::atomic::{AtomicU64, Ordering};

/// The running counts of a mapping.
#[derive(Debug, Default)]
pub struct MappingCounts {
    invocations: AtomicU64,
    delivered: AtomicU64,
    redelivered: AtomicU64,
    dead_lettered: AtomicU64,
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

fn add(counter: &AtomicU64, records: usize) {
    counter.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
}
