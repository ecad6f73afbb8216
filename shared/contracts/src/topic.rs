//! Which topics there are, and how a record that is no event is reported from each.

use std::fmt;

use crate::EventType;

/// The six topics of the order workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Carries `OrderCreated`.
    OrderCreated,
    /// Carries `OrderValidated`.
    OrderValidated,
    /// Carries `InventoryReserved`.
    InventoryReserved,
    /// Carries `PaymentCompleted`.
    PaymentCompleted,
    /// Carries `OrderCompleted`.
    OrderCompleted,
    /// Carries every failure.
    OrderFailed,
}

impl Topic {
    /// Every topic, in the order of the workflow.
    pub const ALL: [Self; 6] = [
        Self::OrderCreated,
        Self::OrderValidated,
        Self::InventoryReserved,
        Self::PaymentCompleted,
        Self::OrderCompleted,
        Self::OrderFailed,
    ];

    /// The name on the broker.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderCreated => "order.created",
            Self::OrderValidated => "order.validated",
            Self::InventoryReserved => "order.inventory-reserved",
            Self::PaymentCompleted => "order.payment-completed",
            Self::OrderCompleted => "order.completed",
            Self::OrderFailed => "order.failed",
        }
    }

    /// The topic of that name, if it is one of the workflow's.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// The failure event that reports a record of this topic which is no event.
    ///
    /// It is the failure of the stage that the topic fires; `order.completed` fires none, so there
    /// it is the failure of the stage that publishes to it. `None` for `order.failed`: such a
    /// record already lies where failures are watched, and reporting it there would feed itself.
    #[must_use]
    pub const fn poison_reported_as(self) -> Option<EventType> {
        match self {
            Self::OrderCreated => Some(EventType::OrderValidationFailed),
            Self::OrderValidated => Some(EventType::OrderInventoryFailed),
            Self::InventoryReserved => Some(EventType::OrderPaymentFailed),
            Self::PaymentCompleted | Self::OrderCompleted => {
                Some(EventType::OrderNotificationFailed)
            }
            Self::OrderFailed => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
        }
        assert_eq!(Topic::from_name("order.dead-letter"), None);
    }

    #[test]
    fn a_record_that_is_no_event_is_reported_on_order_failed() {
        for topic in Topic::ALL {
            if let Some(event_type) = topic.poison_reported_as() {
                assert_eq!(event_type.topic(), Topic::OrderFailed);
            }
        }
    }
}
