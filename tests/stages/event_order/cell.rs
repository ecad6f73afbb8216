//! One cell of the table: a state of an order, and an event that is delivered to it.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use contracts::{EventType, StageName};
use serde_json::{Value, json};
use workflow_tests::stages::Stages;

use super::{
    course::Course,
    forgery::{Variant, event, forged},
    tables::{Snapshot, Tables},
};

/// One cell; its order, its SKUs and its customers are its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    number: usize,
    pub(super) course: Course,
    /// The stages that the order has passed before the event.
    pub(super) steps: usize,
    pub(super) event_type: EventType,
    pub(super) variant: Variant,
}

/// Every state, event type and variant.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for course in Course::ALL {
        for steps in 0..=course.stages().len() {
            for event_type in EventType::ALL {
                for variant in Variant::ALL.iter().filter(|it| it.is_for(*event_type)) {
                    cells.push(Cell {
                        number: cells.len(),
                        course: *course,
                        steps,
                        event_type: *event_type,
                        variant: *variant,
                    });
                }
            }
        }
    }
    cells
}

const QUANTITY: i64 = 2;
const AMOUNT: i64 = 30;
const OTHER_QUANTITY: i64 = 3;
const OTHER_AMOUNT: i64 = 50;

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { course, steps, event_type, variant, .. } = self;
        let passed = &course.stages()[..*steps];
        write!(formatter, "{course:?} after {passed:?}: {event_type} ({variant:?})")
    }
}

impl Cell {
    pub(super) const AVAILABLE: i64 = 10;
    pub(super) const BALANCE: i64 = 100;

    pub(super) fn order_id(&self) -> String {
        format!("ord-{}", self.number)
    }

    pub(super) fn sku(&self) -> String {
        format!("SKU-{}", self.number)
    }

    pub(super) fn other_sku(&self) -> String {
        format!("OTHER-SKU-{}", self.number)
    }

    pub(super) fn customer(&self) -> String {
        format!("cust-{}", self.number)
    }

    pub(super) fn other_customer(&self) -> String {
        format!("other-cust-{}", self.number)
    }

    pub(super) async fn put_stock_and_account(&self, stages: &Stages) {
        let text = |text: String| AttributeValue::S(text);
        let number = |number: i64| AttributeValue::N(number.to_string());
        for sku in [self.sku(), self.other_sku()] {
            let item = [
                ("sku", text(sku)),
                ("available", number(Self::AVAILABLE)),
                ("reserved", number(0)),
            ];
            stages.put("StockTable", &item).await;
        }
        for customer in [self.customer(), self.other_customer()] {
            let item = [("customerId", text(customer)), ("balance", number(Self::BALANCE))];
            stages.put("AccountsTable", &item).await;
        }
    }

    /// The order's payload.
    pub(super) fn order(&self) -> Value {
        let (quantity, amount) = match self.course {
            Course::Completed | Course::Cancelled => (QUANTITY, AMOUNT),
            Course::Invalid | Course::CancelledInvalid => (QUANTITY, -AMOUNT),
            Course::OutOfStock | Course::CancelledOutOfStock => (Self::AVAILABLE + 1, AMOUNT),
            Course::Declined | Course::DeclinedClosedFirst => (QUANTITY, Self::BALANCE + 1),
        };
        json!({
            "customerId": self.customer(), "totalAmount": amount,
            "items": [{ "sku": self.sku(), "quantity": quantity }],
        })
    }

    /// The payload of a good order of somebody else.
    pub(super) fn other_order(&self) -> Value {
        json!({
            "customerId": self.other_customer(), "totalAmount": OTHER_AMOUNT,
            "items": [{ "sku": self.other_sku(), "quantity": OTHER_QUANTITY }],
        })
    }

    /// The order's first event.
    pub(super) fn created(&self) -> String {
        event(EventType::OrderCreated, &self.order_id(), &self.order())
    }

    /// The event to deliver; `None` where the order has none of its own of that type.
    pub(super) fn event(&self, before: &Tables) -> Option<String> {
        match self.variant {
            Variant::Own => before.stored_of(self, self.event_type),
            _ => Some(forged(self)),
        }
    }

    /// True if a stage decides about the event because it is the first on its topic, from any
    /// producer.
    pub(super) fn decides_on_iam_alone(&self, before: &Tables) -> bool {
        let is_first = |stage| !before.has(self, stage);
        self.variant != Variant::Own
            && match self.event_type {
                EventType::OrderCreated => is_first(StageName::Validator),
                EventType::OrderValidated => is_first(StageName::Inventory),
                _ => false,
            }
    }

    /// True if the event may move something at once: it is the order's own, and a stage has not
    /// decided about it yet; or its topic rests on IAM alone.
    pub(super) fn may_move(&self, before: &Tables) -> bool {
        // An early payment waits for the reservation.
        let has_turn = self.event_type != EventType::OrderPaymentFailed
            || before.stored_of(self, EventType::InventoryReserved).is_some();
        let is_stored = has_turn && before.stored_of(self, self.event_type).is_some();
        let consumers = StageName::ALL.iter().filter(|it| it.spec().is_for(self.event_type));
        let mut open = consumers.filter(|stage| !before.has(self, **stage));
        let acts = is_stored && self.variant != Variant::MarkedMalformed && open.next().is_some();
        acts || self.decides_on_iam_alone(before)
    }

    /// The ends that the order may come to.
    pub(super) fn expected(&self, before: &Tables) -> Vec<Snapshot> {
        if !self.decides_on_iam_alone(before) {
            return vec![self.end(self.course)];
        }
        if self.course.is_cancelled() {
            return self.expected_of_cancelled();
        }
        let is_invalid = self.course == Course::Invalid;
        match (self.event_type, self.variant.has_other_payload()) {
            // Nobody validates what is written to the inventory's topic: an invalid order goes on,
            // and is closed by whichever end is published first.
            (EventType::OrderValidated, true) if is_invalid => {
                let end = self.end_of_other().with(StageName::Validator, VALIDATION_FAILED);
                vec![end.failed(StageName::Validator), end]
            }
            (EventType::OrderValidated, false) if is_invalid => {
                let end = self.end(Course::Declined);
                let end = end.with(StageName::Validator, VALIDATION_FAILED);
                vec![end.failed(StageName::Validator), end]
            }
            (_, true) => vec![self.end_of_other()],
            (_, false) => vec![self.end(self.course)],
        }
    }

    /// The ends of a cancelled order for which a forged event on a topic that rests on IAM came first:
    /// nobody is charged, and what was reserved is released.
    fn expected_of_cancelled(&self) -> Vec<Snapshot> {
        let has_own_payload = !self.variant.has_other_payload();
        let is_decided_alike = has_own_payload
            && (self.course == Course::CancelledOutOfStock
                || self.event_type == EventType::OrderCreated);
        let end = self.end(if is_decided_alike { self.course } else { Course::Cancelled });
        if self.course == Course::CancelledInvalid && self.event_type == EventType::OrderValidated {
            let end = end.with(StageName::Validator, VALIDATION_FAILED);
            return vec![end.failed(StageName::Validator), end];
        }
        vec![end]
    }

    fn end(&self, course: Course) -> Snapshot {
        let is_completed = course == Course::Completed;
        let reserved = if is_completed { QUANTITY } else { 0 };
        Snapshot {
            rows: course.rows(),
            reserved: [(reserved, reserved), (0, 0)],
            charged: [if is_completed { AMOUNT } else { 0 }, 0],
            status: Some(if is_completed { "COMPLETED" } else { "FAILED" }.to_owned()),
            failed_stage: course.failed_stage().map(|stage| stage.name().to_owned()),
        }
    }

    /// The end of the other order, in the place of this one.
    fn end_of_other(&self) -> Snapshot {
        Snapshot {
            reserved: [(0, 0), (OTHER_QUANTITY, OTHER_QUANTITY)],
            charged: [0, OTHER_AMOUNT],
            ..self.end(Course::Completed)
        }
    }
}

const VALIDATION_FAILED: EventType = EventType::OrderValidationFailed;
