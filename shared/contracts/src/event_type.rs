//! The events of the workflow, with their topics, publishers and schemas.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::{STAGES, StageName, Topic};

/// The events of the order workflow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(const_into_str)]
pub enum EventType {
    /// An order was accepted and needs validation.
    OrderCreated,
    /// The order is well formed; its stock can be reserved.
    OrderValidated,
    /// The stock is reserved; the customer can be charged.
    InventoryReserved,
    /// The customer is charged and can be notified.
    PaymentCompleted,
    /// The order is complete.
    OrderCompleted,
    /// The order is not well formed.
    OrderValidationFailed,
    /// The stock could not be reserved.
    OrderInventoryFailed,
    /// The customer could not be charged.
    OrderPaymentFailed,
    /// The customer could not be notified.
    OrderNotificationFailed,
}

impl EventType {
    /// Every event, in the order of the workflow, failures last.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The value of `eventType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }

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

    #[must_use]
    pub fn published_by(self) -> StageName {
        let publisher = STAGES.iter().find(|spec| spec.published_events().any(|it| it == self));
        publisher.map_or(StageName::OrderApi, |spec| spec.name)
    }

    #[must_use]
    pub fn is_failure(self) -> bool {
        STAGES.iter().filter_map(|spec| spec.publishes?.rejected).any(|rejected| rejected == self)
    }

    /// Terminal: no stage that publishes consumes the event.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !STAGES.iter().filter(|spec| spec.publishes.is_some()).any(
            |spec| matches!(spec.consumes, crate::Consumes::Event(consumed) if consumed == self),
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_by_its_name() {
        for event_type in EventType::ALL {
            assert_eq!(EventType::from_name(event_type.name()), Some(*event_type));
        }
        assert_eq!(EventType::from_name("InvoiceSent"), None);
    }

    #[test]
    fn failures_are_what_the_failure_topic_carries_and_every_failure_ends_its_order() {
        for event_type in EventType::ALL {
            assert_eq!(event_type.is_failure(), event_type.topic() == Topic::OrderFailed);
            assert!(event_type.is_terminal() || !event_type.is_failure(), "{event_type}");
        }
        assert!(EventType::OrderCompleted.is_terminal());
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

    #[test]
    fn every_schema_says_who_publishes_its_event_and_which_malformed_records_it_reports() {
        for event_type in EventType::ALL {
            let schema: serde_json::Value =
                serde_json::from_str(event_type.schema()).expect("the schema is JSON");
            let description = schema["description"].as_str().expect("a description");
            let (topic, publisher) = (event_type.topic(), event_type.published_by());
            let published = match event_type.is_failure() {
                true => format!("Published on {topic}."),
                false => format!("Published by {publisher} on {topic}."),
            };
            assert!(description.ends_with(&published), "{event_type}: {description}");
            for topic in Topic::ALL.iter().filter(|it| **it != Topic::OrderFailed) {
                let is_named = description.trim_end_matches(&published).contains(topic.name());
                let is_reported = topic.malformed_failure() == Some(*event_type);
                assert_eq!(is_named, is_reported, "{event_type} and {topic}: {description}");
            }
        }
    }
}
