//! A shared handle to observe and pause a running mapping.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Shared;
use crate::template::Mapping;

/// Clones refer to the same mapping.
#[derive(Clone)]
pub struct MappingHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) paused: watch::Sender<bool>,
}

impl MappingHandle {
    /// The mapping as declared in the template.
    #[must_use]
    pub fn declaration(&self) -> &Mapping {
        &self.shared.mapping
    }

    #[must_use]
    pub fn counts(&self) -> &MappingCounts {
        &self.shared.counts
    }

    /// Stops invoking until [`Self::resume`]. Invocations in flight continue.
    ///
    /// Records stay on the topic, and offsets do not move:
    /// `a_paused_mapping_invokes_nothing_and_then_goes_on_where_it_stopped`.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Continues after [`Self::pause`].
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// The partitions that currently cannot be read, each with the reason.
    ///
    /// Their records wait; other partitions continue.
    #[must_use]
    pub fn unreadable(&self) -> BTreeMap<i32, String> {
        self.shared.unreadable.snapshot()
    }

    /// By partition, the next offset to finish.
    ///
    /// Absent for a partition that is read from its beginning, until its first record is finished.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        self.shared.offsets.positions()
    }
}

/// The record counts of a mapping.
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

/// The partitions that currently cannot be read, with the reason.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<BTreeMap<i32, String>>);

impl Unreadable {
    pub(super) fn snapshot(&self) -> BTreeMap<i32, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the reason is new.
    pub(super) fn insert(&self, partition: i32, reason: &str) -> bool {
        let mut unreadable = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.insert(partition, reason.to_owned()).is_none_or(|before| before != reason)
    }

    /// Returns whether the partition was unreadable.
    pub(super) fn remove(&self, partition: i32) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition).is_some()
    }
}
