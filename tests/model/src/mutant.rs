//! Faulty variants of the protocol: each leaves out or swaps one thing that it depends on.

use strum::{IntoStaticStr, VariantArray};

use crate::rule::Rule;

/// A fault in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Mutant {
    PublishBeforeInsert,
    DecideAgainOnRedelivery,
    InsertWithoutCondition,
    RefusalIsNotStored,
    EffectOutsideTheTransaction,
    EffectOnRedelivery,
    StockGuardMissing,
    BalanceGuardMissing,
    OffsetMovedOnFailure,
    DoneBeforeDelivery,
    DoneWithoutARow,
    ActsOnTheRecord,
    ReleaseWithoutThePaymentRow,
    ReleaseTwice,
    EarlyRejectionBeforeItsTurn,
    ChargeWithoutLookUp,
    ChargeWithoutIdempotencyKey,
    ChargeInsertsOverCancellation,
    NoRefund,
    RefundLeavesTheKey,
    EarlyEndWithoutTheReservation,
    CancelOverwrites,
    CancelIgnoresThePaidRow,
    CancelClosesTheOrder,
    CloseOverwrites,
    CloseAsCompleted,
    IntakeRowDeletedAfterFailedPublish,
    NoRecovery,
    RecoveryDecides,
    RecoverySkipsOrdersThatAreOver,
    RecoverySkipsUnpaidOrders,
    RecoveryPublishesTheEarlyRejectionAtOnce,
    ExpiryOverwrites,
    RetriesForever,
}

impl Mutant {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The rule that it breaks.
    #[must_use]
    pub const fn breaks(self) -> Rule {
        match self {
            Self::PublishBeforeInsert
            | Self::DecideAgainOnRedelivery
            | Self::RefusalIsNotStored => Rule::StoredEvent,
            Self::InsertWithoutCondition
            | Self::ChargeInsertsOverCancellation
            | Self::CancelOverwrites
            | Self::CloseOverwrites
            | Self::ExpiryOverwrites => Rule::OneDecision,
            Self::EffectOutsideTheTransaction | Self::EffectOnRedelivery => Rule::StockConserved,
            Self::StockGuardMissing | Self::BalanceGuardMissing => Rule::NeverBelowZero,
            Self::OffsetMovedOnFailure | Self::DoneBeforeDelivery | Self::DoneWithoutARow => {
                Rule::DoneAfterDelivery
            }
            Self::ActsOnTheRecord | Self::IntakeRowDeletedAfterFailedPublish => Rule::RowsFollow,
            Self::ReleaseWithoutThePaymentRow | Self::ReleaseTwice => Rule::ReleasedOnce,
            Self::EarlyRejectionBeforeItsTurn
            | Self::CancelClosesTheOrder
            | Self::CloseAsCompleted
            | Self::RecoveryDecides => Rule::ClosedAsDecided,
            Self::ChargeWithoutLookUp | Self::ChargeWithoutIdempotencyKey => Rule::MoneyConserved,
            Self::NoRefund | Self::RefundLeavesTheKey | Self::EarlyEndWithoutTheReservation => {
                Rule::NotCharged
            }
            Self::CancelIgnoresThePaidRow => Rule::CancellationTrue,
            Self::NoRecovery
            | Self::RecoverySkipsOrdersThatAreOver
            | Self::RecoverySkipsUnpaidOrders => Rule::EveryOrderEnds,
            Self::RecoveryPublishesTheEarlyRejectionAtOnce => Rule::StoredEvent,
            Self::RetriesForever => Rule::Progress,
        }
    }
}
