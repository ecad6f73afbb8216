//! The numbers of a run in progress.

/// What can be counted as it happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Orders that the HTTP API has answered for good.
    pub(crate) answered: u64,
    /// Orders that it took.
    pub(crate) accepted: u64,
    /// Those of them whose cancellation was accepted.
    pub(crate) cancelled: u64,
    /// Those of them that have ended.
    pub(crate) ended: u64,
    /// Records, whatever they are.
    pub(crate) records: u64,
    /// Orders' events by topic, each event once.
    pub(crate) events: [u64; 6],
    /// Events published again.
    pub(crate) repeated: u64,
    /// Records on `order.dead-letter`.
    pub(crate) dead_lettered: u64,
}

impl Counts {
    /// How many accepted orders have not ended yet.
    pub(crate) fn unfinished(&self) -> u64 {
        self.accepted.saturating_sub(self.ended)
    }
}
