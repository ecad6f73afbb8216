//! The entries of a trace.

use contracts::{EventType, StageName};

use crate::{order::Row, task::Task};

/// One thing that a real run did, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it happened, at the earliest and at the latest: microseconds from any start.
    pub from: i64,
    pub to: i64,
    pub order: String,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The database has stored a row; `body` has the bytes of its event or result.
    Row { stage: StageName, row: Row, body: String },
    /// An event was published with these bytes.
    Published { event: EventType, body: String },
    /// The mapping has moved its offset past a record.
    Done(Task),
}

impl Entry {
    /// In a sorted trace, what follows from something at the same time comes after it.
    #[must_use]
    pub const fn sort_key(&self) -> (i64, u8) {
        let kind = match self.what {
            What::Row { .. } => 0,
            What::Published { .. } => 1,
            What::Done(_) => 2,
        };
        (self.to, kind)
    }
}
