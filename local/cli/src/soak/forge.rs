//! Forged events, and records that are not events.

use contracts::{Envelope, EventType, FailureCode, JsonObject, OrderId, StoredEvent, Topic};
use emulator::tap::TapRecord;
use jiff::Timestamp;

use crate::demo::ledger::Ledger;
use crate::demo::malformed_inputs;

/// Keys of malformed records, and of their reports.
const MALFORMED_PREFIX: &str = "malformed-";
/// Variants of malformed records that no topic accepts.
const MALFORMED_VARIANTS: [u64; 4] = [0, 2, 3, 4];

/// The event of a record with other content; `None` if it is not an event.
pub(super) fn conflicting(record: &TapRecord, draw: u64) -> Option<StoredEvent> {
    let event = Envelope::decode(record.payload.as_deref()?).ok()?;
    let mut payload = payload_of(&event)?;
    payload.insert("forged".to_owned(), draw.into());
    if payload.contains_key("totalAmount") {
        payload.insert("totalAmount".to_owned(), 1.into());
    }
    Some(stored(event.event_type, &event.order_id, &event.correlation_id, payload))
}

/// An event of this type for the order of a record or, with `order_id`, for another one.
pub(super) fn forged(
    record: &TapRecord,
    event_type: EventType,
    order_id: Option<OrderId>,
    draw: u64,
) -> Option<StoredEvent> {
    let event = Envelope::decode(record.payload.as_deref()?).ok()?;
    let mut payload = payload_of(&event)?;
    payload.insert("forged".to_owned(), draw.into());
    if event_type.is_failure() {
        let original = std::mem::take(&mut payload);
        payload.insert("originalPayload".to_owned(), original.into());
        let reason = format!("{}: forged", FailureCode::PaymentDeclined.name());
        payload.insert("failureReason".to_owned(), reason.into());
    }
    let order_id = order_id.unwrap_or_else(|| event.order_id.clone());
    Some(stored(event_type, &order_id, &event.correlation_id, payload))
}

fn payload_of(event: &Envelope<'_>) -> Option<JsonObject> {
    let envelope: JsonObject = serde_json::from_str(event.text()).ok()?;
    envelope.get("payload")?.as_object().cloned()
}

fn stored(
    event_type: EventType,
    order_id: &OrderId,
    correlation_id: &str,
    payload: JsonObject,
) -> StoredEvent {
    let payload = serde_json::Value::from(payload).to_string();
    StoredEvent::new(event_type, order_id, correlation_id, Timestamp::now(), &payload)
}

/// False for the report of a malformed record.
pub(super) fn is_of_order(record: &TapRecord) -> bool {
    record.key.as_deref().is_some_and(|key| !key.starts_with(MALFORMED_PREFIX.as_bytes()))
}

/// True if the stage that decides about a record of this topic has decided about its order. Before
/// that, a conflicting event is the order itself, as it is for another producer's topic.
pub(super) fn is_decided(ledger: &Ledger, record: &TapRecord) -> bool {
    let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let Some(order) = key.and_then(|key| ledger.orders.get(key)) else { return false };
    let next = match Topic::from_name(&record.topic) {
        Some(Topic::OrderCreated) => Topic::OrderValidated,
        Some(Topic::OrderValidated) => Topic::InventoryReserved,
        // The other stages compare an event with the stored one.
        topic => return topic.is_some(),
    };
    order.is_on(next) || order.is_on(Topic::OrderFailed)
}

/// A malformed record: its key, its value, and the expected code of its report.
pub(super) fn malformed(draw: u64) -> (String, Option<Vec<u8>>, FailureCode) {
    let key = format!("{MALFORMED_PREFIX}{draw:016x}");
    let variant = usize::try_from(draw % 4).ok().and_then(|place| MALFORMED_VARIANTS.get(place));
    let (value, code) =
        malformed_inputs::malformed_record(variant.copied().unwrap_or_default(), &key);
    (key, value, code)
}
