//! What became of one record.

use crate::position::Position;

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Published at this position.
    Redriven(Position),
    /// The outcome of a dry run.
    WouldRedrive,
    /// Redriven by an earlier run, at this time in milliseconds since the epoch.
    AlreadyRedriven(i64),
    /// Published at this position; the reason is why its receipt is missing.
    RedrivenWithoutReceipt(Position, String),
    /// The reason.
    NotRedriven(String),
}

impl Outcome {
    pub(crate) const fn is_error(&self) -> bool {
        matches!(self, Self::RedrivenWithoutReceipt(..) | Self::NotRedriven(_))
    }
}
