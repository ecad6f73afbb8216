//! The rules that the protocol keeps.

use strum::{EnumCount, IntoStaticStr, VariantArray};

/// A safety property, or one half of the liveness.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumCount, IntoStaticStr, VariantArray,
)]
pub enum Rule {
    #[strum(serialize = "one decision per order and stage")]
    OneDecision,
    #[strum(serialize = "a row follows the rows that it builds on")]
    RowsFollow,
    #[strum(serialize = "every published event is the stored one, in its turn")]
    StoredEvent,
    #[strum(serialize = "a record is done only after its event is delivered")]
    DoneAfterDelivery,
    #[strum(serialize = "stock is conserved")]
    StockConserved,
    #[strum(serialize = "money is conserved, and an order is charged once")]
    MoneyConserved,
    #[strum(serialize = "nothing falls below zero")]
    NeverBelowZero,
    #[strum(serialize = "stock is released once, if it was reserved and not paid")]
    ReleasedOnce,
    #[strum(serialize = "an order that is not paid is not charged, or is refunded")]
    NotCharged,
    #[strum(serialize = "a cancellation is confirmed only if it was decided")]
    CancellationTrue,
    #[strum(serialize = "an order is closed as it was decided")]
    ClosedAsDecided,
    #[strum(serialize = "once faults stop, every accepted order ends")]
    EveryOrderEnds,
    #[strum(serialize = "every step makes progress")]
    Progress,
}

impl Rule {
    /// The rule as a sentence.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.into()
    }
}
