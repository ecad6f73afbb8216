//! Counts the injected faults by kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::Kind;

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<Kind, u64>>>);

impl Tally {
    pub(crate) fn add(&self, kind: Kind, count: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let sum = counts.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }

    pub(crate) fn count(&self, kind: Kind) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&kind).copied().unwrap_or_default()
    }
}
