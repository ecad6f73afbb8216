//! The events that are delivered to an order in a state.

use contracts::{EventType, FailureCode};
use serde_json::{Value, json};
use strum::VariantArray;

use super::cell::Cell;

/// The origin of a cell's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub(super) enum Variant {
    /// The order's own event of that type, where there is one.
    Own,
    /// A forged one with the order's own payload.
    OwnPayload,
    /// A forged one of another customer, with other items and another amount.
    OtherPayload,
    /// A forged failure that is marked as the report of a malformed record.
    MarkedMalformed,
}

impl Variant {
    pub(super) const ALL: &'static [Self] = Self::VARIANTS;

    /// True if the variant exists for this type.
    pub(super) fn is_for(self, event_type: EventType) -> bool {
        self != Self::MarkedMalformed || event_type.is_failure()
    }

    pub(super) fn has_other_payload(self) -> bool {
        matches!(self, Self::OtherPayload | Self::MarkedMalformed)
    }
}

/// A forged event about the order of a cell.
pub(super) fn forged(cell: &Cell) -> String {
    let order = if cell.variant.has_other_payload() { cell.other_order() } else { cell.order() };
    let payload = if cell.event_type.is_failure() { failure(cell, &order) } else { order };
    event(cell.event_type, &cell.order_id(), &payload)
}

fn failure(cell: &Cell, order: &Value) -> Value {
    let mut failure = json!({
        "originalPayload": order,
        "failureReason": format!("{}: forged", FailureCode::PaymentDeclined),
        "stage": cell.event_type.published_by().name(),
        "source": { "topic": "order.created", "partition": 0, "offset": 1 },
    });
    if cell.variant == Variant::MarkedMalformed {
        failure["malformed"] = true.into();
    }
    failure
}

/// An event as another producer would write it.
pub(super) fn event(event_type: EventType, order_id: &str, payload: &Value) -> String {
    json!({
        "eventType": event_type.name(), "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z", "payload": payload,
    })
    .to_string()
}
