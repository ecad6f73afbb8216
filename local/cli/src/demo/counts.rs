//! Counters of a run in progress.

use contracts::Topic;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Orders with a final response of the HTTP API.
    pub(crate) answered: u64,
    pub(crate) accepted: u64,
    /// Accepted orders whose cancellation was accepted.
    pub(crate) cancelled: u64,
    /// Accepted orders that have ended.
    pub(crate) ended: u64,
    /// Records on all topics.
    pub(crate) records: u64,
    /// The size of these records.
    pub(crate) bytes: u64,
    /// Events of orders by topic, without duplicates.
    pub(crate) events: [u64; Topic::ALL.len()],
    /// Duplicate events.
    pub(crate) repeated: u64,
    /// Records on `order.dead-letter`.
    pub(crate) dead_lettered: u64,
}

impl Counts {
    pub(crate) fn unfinished(&self) -> u64 {
        self.accepted.saturating_sub(self.ended)
    }
}
