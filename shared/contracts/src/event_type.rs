//! Which events there are, on which topic each belongs, and how each looks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{StageName, Topic};

/// The nine events of the order workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventType {
    /// An order came in and needs validation.
    OrderCreated,
    /// The order is well formed; its stock can be reserved.
    OrderValidated,
    /// The stock is reserved; the customer can be charged.
    InventoryReserved,
    /// The customer is charged and can be told.
    PaymentCompleted,
    /// The order is complete.
    OrderCompleted,
    /// The order is not well formed.
    OrderValidationFailed,
    /// The stock could not be reserved.
    OrderInventoryFailed,
    /// The customer could not be charged.
    OrderPaymentFailed,
    /// The customer could not be told.
    OrderNotificationFailed,
}

impl EventType {
    /// Every event, in the order of the workflow, failures last.
    pub const ALL: [Self; 9] = [
        Self::OrderCreated,
        Self::OrderValidated,
        Self::InventoryReserved,
        Self::PaymentCompleted,
        Self::OrderCompleted,
        Self::OrderValidationFailed,
        Self::OrderInventoryFailed,
        Self::OrderPaymentFailed,
        Self::OrderNotificationFailed,
    ];

    /// The name as it stands in `eventType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderCreated => "OrderCreated",
            Self::OrderValidated => "OrderValidated",
            Self::InventoryReserved => "InventoryReserved",
            Self::PaymentCompleted => "PaymentCompleted",
            Self::OrderCompleted => "OrderCompleted",
            Self::OrderValidationFailed => "OrderValidationFailed",
            Self::OrderInventoryFailed => "OrderInventoryFailed",
            Self::OrderPaymentFailed => "OrderPaymentFailed",
            Self::OrderNotificationFailed => "OrderNotificationFailed",
        }
    }

    /// The event of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event_type| event_type.name() == name)
    }

    /// The topic on which the event belongs.
    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::OrderCreated => Topic::OrderCreated,
            Self::OrderValidated => Topic::OrderValidated,
            Self::InventoryReserved => Topic::InventoryReserved,
            Self::PaymentCompleted => Topic::PaymentCompleted,
            Self::OrderCompleted => Topic::OrderCompleted,
            Self::OrderValidationFailed
            | Self::OrderInventoryFailed
            | Self::OrderPaymentFailed
            | Self::OrderNotificationFailed => Topic::OrderFailed,
        }
    }

    /// The stage that publishes the event.
    #[must_use]
    pub const fn published_by(self) -> StageName {
        match self {
            Self::OrderCreated => StageName::OrderApi,
            Self::OrderValidated | Self::OrderValidationFailed => StageName::Validator,
            Self::InventoryReserved | Self::OrderInventoryFailed => StageName::Inventory,
            Self::PaymentCompleted | Self::OrderPaymentFailed => StageName::Payment,
            Self::OrderCompleted | Self::OrderNotificationFailed => StageName::Notification,
        }
    }

    /// Whether the event says that a stage failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self.topic(), Topic::OrderFailed)
    }

    /// Whether an order has ended with this event.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        self.is_failure() || matches!(self, Self::OrderCompleted)
    }

    /// The event's JSON Schema (draft 2020-12), as published under `schemas/`.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::OrderCreated => include_str!("../schemas/OrderCreated.json"),
            Self::OrderValidated => include_str!("../schemas/OrderValidated.json"),
            Self::InventoryReserved => include_str!("../schemas/InventoryReserved.json"),
            Self::PaymentCompleted => include_str!("../schemas/PaymentCompleted.json"),
            Self::OrderCompleted => include_str!("../schemas/OrderCompleted.json"),
            Self::OrderValidationFailed => include_str!("../schemas/OrderValidationFailed.json"),
            Self::OrderInventoryFailed => include_str!("../schemas/OrderInventoryFailed.json"),
            Self::OrderPaymentFailed => include_str!("../schemas/OrderPaymentFailed.json"),
            Self::OrderNotificationFailed => {
                include_str!("../schemas/OrderNotificationFailed.json")
            }
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_by_its_name() {
        for event_type in EventType::ALL {
            assert_eq!(EventType::from_name(event_type.name()), Some(event_type));
        }
        assert_eq!(EventType::from_name("OrderShipped"), None);
    }

    #[test]
    fn every_schema_is_valid_and_names_its_event() {
        for event_type in EventType::ALL {
            let schema: serde_json::Value =
                serde_json::from_str(event_type.schema()).expect("the schema is JSON");
            assert!(jsonschema::meta::is_valid(&schema), "{event_type}");
            assert_eq!(schema["properties"]["eventType"]["const"], event_type.name());
        }
    }
}
