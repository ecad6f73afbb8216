//! The tasks of a process for an order.

use contracts::{EventType, StageName};
use strum::{EnumCount, VariantArray};

/// A record that a stage consumes, or a request to order-api.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumCount, VariantArray)]
pub enum Task {
    Intake,
    Validate,
    Reserve,
    Charge,
    Notify,
    Release,
    CloseCompleted,
    CloseInvalid,
    CloseUnreserved,
    CloseUnpaid,
    CloseUnnotified,
    Cancel,
    Recover,
}

impl Task {
    /// The task of a stage about an event.
    #[must_use]
    pub fn of(stage: StageName, event: EventType) -> Option<Self> {
        let consumes = |task: &&Self| task.consumes() == Some((stage, event));
        Self::VARIANTS.iter().find(consumes).copied()
    }

    /// The stage, and the event that triggers it; `None` for a request.
    #[must_use]
    pub const fn consumes(self) -> Option<(StageName, EventType)> {
        Some(match self {
            Self::Intake | Self::Cancel | Self::Recover => return None,
            Self::Validate => (StageName::Validator, EventType::OrderCreated),
            Self::Reserve => (StageName::Inventory, EventType::OrderValidated),
            Self::Charge => (StageName::Payment, EventType::InventoryReserved),
            Self::Notify => (StageName::Notification, EventType::PaymentCompleted),
            Self::Release => (StageName::Release, EventType::OrderPaymentFailed),
            Self::CloseCompleted => (StageName::Close, EventType::OrderCompleted),
            Self::CloseInvalid => (StageName::Close, EventType::OrderValidationFailed),
            Self::CloseUnreserved => (StageName::Close, EventType::OrderInventoryFailed),
            Self::CloseUnpaid => (StageName::Close, EventType::OrderPaymentFailed),
            Self::CloseUnnotified => (StageName::Close, EventType::OrderNotificationFailed),
        })
    }

    /// The stage whose row the task decides.
    #[must_use]
    pub const fn stage(self) -> StageName {
        match self.consumes() {
            Some((stage, _)) => stage,
            None => StageName::OrderApi,
        }
    }

    /// True for a stage that acts on the event in its publisher's row, and not on the record.
    #[must_use]
    pub const fn acts_on_stored_event(self) -> bool {
        !matches!(
            self,
            Self::Intake | Self::Validate | Self::Reserve | Self::Cancel | Self::Recover
        )
    }
}
