//! The workflow table: the events that a stage consumes and publishes, the fields that it adds.

use std::iter;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::{EventType, Topic};

/// A stage of the workflow. It stores one decision for an order, under this name.
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
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum StageName {
    /// Accepts the order.
    OrderApi,
    /// Checks that the order is well formed.
    Validator,
    /// Reserves the stock.
    Inventory,
    /// Charges the customer.
    Payment,
    /// Notifies the customer.
    Notification,
    /// Releases the stock after a failed payment.
    Release,
    /// Closes the order.
    Close,
}

/// One row of the workflow table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageSpec {
    pub name: StageName,
    pub consumes: Consumes,
    /// `None` for a stage that only stores a row.
    pub publishes: Option<Publishes>,
    /// The payload fields that it adds to the event of an accepted order.
    pub adds: &'static [&'static str],
}

/// The events that a stage decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumes {
    /// None: the stage is invoked over HTTP.
    Requests,
    /// One event.
    Event(EventType),
    /// Every event that ends an order.
    EveryEnd,
}

/// The two outcomes of a stage that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publishes {
    /// The event of an accepted order.
    pub accepted: EventType,
    /// The event of a rejected order; `None` if the stage rejects nothing.
    pub rejected: Option<EventType>,
}

const fn either(accepted: EventType, rejected: EventType) -> Option<Publishes> {
    Some(Publishes { accepted, rejected: Some(rejected) })
}

/// The workflow, in its order.
pub const STAGES: [StageSpec; StageName::ALL.len()] = {
    use EventType::{
        InventoryReserved, OrderCompleted, OrderCreated, OrderInventoryFailed,
        OrderNotificationFailed, OrderPaymentFailed, OrderValidated, OrderValidationFailed,
        PaymentCompleted,
    };
    [
        StageSpec {
            name: StageName::OrderApi,
            consumes: Consumes::Requests,
            publishes: Some(Publishes { accepted: OrderCreated, rejected: None }),
            adds: &[],
        },
        StageSpec {
            name: StageName::Validator,
            consumes: Consumes::Event(OrderCreated),
            publishes: either(OrderValidated, OrderValidationFailed),
            adds: &[],
        },
        StageSpec {
            name: StageName::Inventory,
            consumes: Consumes::Event(OrderValidated),
            publishes: either(InventoryReserved, OrderInventoryFailed),
            adds: &["reservationId"],
        },
        StageSpec {
            name: StageName::Payment,
            consumes: Consumes::Event(InventoryReserved),
            publishes: either(PaymentCompleted, OrderPaymentFailed),
            adds: &["paymentId"],
        },
        StageSpec {
            name: StageName::Notification,
            consumes: Consumes::Event(PaymentCompleted),
            publishes: either(OrderCompleted, OrderNotificationFailed),
            adds: &[],
        },
        StageSpec {
            name: StageName::Release,
            consumes: Consumes::Event(OrderPaymentFailed),
            publishes: None,
            adds: &[],
        },
        StageSpec {
            name: StageName::Close,
            consumes: Consumes::EveryEnd,
            publishes: None,
            adds: &[],
        },
    ]
};

/// The stages of an order that completes, from its intake on.
///
/// Every list of stages, events or topics in the tree that follows such an order derives from this.
pub fn happy_path() -> impl Iterator<Item = &'static StageSpec> {
    let publisher_of = |consumes: Consumes| {
        STAGES.iter().find(|spec| spec.publishes.is_some() && spec.consumes == consumes)
    };
    iter::successors(publisher_of(Consumes::Requests), move |spec| {
        publisher_of(Consumes::Event(spec.publishes?.accepted))
    })
}

impl StageName {
    /// Every stage, in the order of the workflow.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The name in rows, logs and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// The stage's row of [`STAGES`].
    #[must_use]
    pub fn spec(self) -> &'static StageSpec {
        let [first, ..] = &STAGES;
        STAGES.iter().find(|spec| spec.name == self).unwrap_or(first)
    }
}

impl StageSpec {
    #[must_use]
    pub fn is_for(&self, event_type: EventType) -> bool {
        match self.consumes {
            Consumes::Requests => false,
            Consumes::Event(consumed) => consumed == event_type,
            Consumes::EveryEnd => event_type.is_terminal(),
        }
    }

    /// The publisher of the consumed event; `None` unless the stage consumes exactly one.
    #[must_use]
    pub fn upstream(&self) -> Option<StageName> {
        match self.consumes {
            Consumes::Event(consumed) => Some(consumed.published_by()),
            Consumes::Requests | Consumes::EveryEnd => None,
        }
    }

    pub fn consumed_events(&self) -> impl Iterator<Item = EventType> + use<> {
        let spec = *self;
        EventType::ALL.iter().copied().filter(move |event_type| spec.is_for(*event_type))
    }

    pub fn published_events(&self) -> impl Iterator<Item = EventType> + use<> {
        self.publishes
            .into_iter()
            .flat_map(|publishes| [Some(publishes.accepted), publishes.rejected])
            .flatten()
    }

    #[must_use]
    pub fn consumes_from(&self, topic: Topic) -> bool {
        self.consumed_events().any(|event_type| event_type.topic() == topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_row_in_order() {
        let names: Vec<_> = STAGES.iter().map(|spec| spec.name).collect();
        assert_eq!(names, StageName::ALL);
        for name in StageName::ALL {
            assert_eq!(name.spec().name, *name);
            assert_eq!(StageName::from_name(name.name()), Some(*name));
        }
        assert_eq!(StageName::OrderApi.name(), "order-api");
    }

    #[test]
    fn every_event_is_published_by_one_stage_and_decided_about_by_one_that_publishes_at_most() {
        for event_type in EventType::ALL {
            let publishers =
                STAGES.iter().filter(|it| it.published_events().any(|e| e == *event_type));
            assert_eq!(publishers.count(), 1, "{event_type}");
            let deciders =
                STAGES.iter().filter(|it| it.publishes.is_some() && it.is_for(*event_type));
            assert_eq!(deciders.count(), usize::from(!event_type.is_terminal()), "{event_type}");
        }
    }

    #[test]
    fn close_consumes_every_end() {
        let mut consumed = StageName::Close.spec().consumed_events();
        assert_eq!(consumed.next(), Some(EventType::OrderCompleted));
        let failures = EventType::ALL.iter().copied().filter(|event_type| event_type.is_failure());
        assert!(consumed.eq(failures));
    }

    #[test]
    fn the_happy_path_leads_from_the_intake_to_the_completed_order() {
        let path: Vec<_> = happy_path().map(|spec| spec.name).collect();
        assert_eq!(path.first(), Some(&StageName::OrderApi));
        assert_eq!(path.last(), Some(&EventType::OrderCompleted.published_by()));
        assert!(path.is_sorted(), "{path:?}");
    }
}
