//! Orders and failures as the page shows them.

use std::sync::Arc;

use contracts::{Envelope, EventType, Object, order, parse_rfc3339};
use emulator::tap::TapRecord;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::fixtures::CreatedRecord;

const MAX_TEXT_CHARS: usize = 300;
const MAX_AMOUNT_CHARS: usize = 24;
const MAX_NAMED_ITEMS: usize = 3;

/// An order and its timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    /// 0 for the first order of the run.
    pub(super) number: u64,
    pub(super) order_id: String,
    customer_id: Option<String>,
    items: Option<String>,
    amount: Option<String>,
    status: Status,
    reason: Option<String>,
    steps: Vec<Step>,
    /// The `OrderCreated` record for a redelivery; `None` once it is dropped to bound memory.
    #[serde(rename = "isRecordKept", serialize_with = "is_some")]
    pub(super) created: Option<Arc<CreatedRecord>>,
    /// The feed version at which this order last changed.
    #[serde(skip)]
    pub(super) version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Pending,
    Completed,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    event: &'static str,
    stage: &'static str,
    topic: &'static str,
    /// Milliseconds since the epoch.
    at: i64,
    /// Number of times it was published.
    times: u32,
}

/// An order that failed, or a malformed record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    order_id: String,
    reason: String,
    stage: &'static str,
    at: i64,
    is_malformed_report: bool,
}

/// The part of an event that the page keeps.
#[derive(Debug, Clone)]
pub(super) struct OrderEvent {
    pub(super) event_type: EventType,
    pub(super) order_id: String,
    /// The event's timestamp, in milliseconds since the epoch.
    at: i64,
    /// The `failureReason` of a failure.
    reason: String,
    pub(super) is_malformed_report: bool,
}

impl Order {
    /// An order without steps, from its `OrderCreated` event.
    pub(super) fn new(number: u64, event: &Envelope<'_>, record: &TapRecord) -> Self {
        let value = record.payload.clone();
        let is_number = |json: &&str| json.starts_with(|it: char| it == '-' || it.is_ascii_digit());
        let amount = event.payload.get("totalAmount").filter(is_number);
        Self {
            number,
            order_id: event.order_id.to_string(),
            customer_id: order::customer_id(&event.payload).ok().map(|id| shortened(&id)),
            items: items(&event.payload),
            amount: amount.map(|digits| cut(digits, MAX_AMOUNT_CHARS)),
            status: Status::Pending,
            reason: None,
            steps: Vec::new(),
            created: record.key.clone().map(|key| Arc::new(CreatedRecord { key, value })),
            version: 0,
        }
    }

    /// Bytes of the record that is kept.
    pub(super) fn record_bytes(&self) -> usize {
        let bytes = |record: &CreatedRecord| {
            record.key.len().saturating_add(record.value.as_ref().map_or(0, Vec::len))
        };
        self.created.as_deref().map_or(0, bytes)
    }

    /// Adds an event. Returns whether it is the first of its type.
    pub(super) fn step(&mut self, event: &OrderEvent) -> bool {
        let name = event.event_type.name();
        if let Some(step) = self.steps.iter_mut().find(|step| step.event == name) {
            step.times = step.times.saturating_add(1);
            return false;
        }
        self.steps.push(Step {
            event: name,
            stage: event.event_type.published_by().name(),
            topic: event.event_type.topic().name(),
            at: event.at,
            times: 1,
        });
        // Topics are read independently, so events may arrive in another order.
        self.steps.sort_by_key(|step| step.at);
        if event.event_type.is_failure() {
            self.status = Status::Failed;
            self.reason = Some(event.reason.clone());
        } else if event.event_type.is_terminal() {
            self.status = Status::Completed;
        }
        true
    }
}

impl Failure {
    pub(super) fn of(event: OrderEvent) -> Self {
        Self {
            order_id: shortened(&event.order_id),
            reason: event.reason,
            stage: event.event_type.published_by().name(),
            at: event.at,
            is_malformed_report: event.is_malformed_report,
        }
    }
}

impl OrderEvent {
    pub(super) fn of(event: &Envelope<'_>) -> Self {
        let reason = event.payload.string("failureReason");
        Self {
            event_type: event.event_type,
            order_id: event.order_id.to_string(),
            at: parse_rfc3339(&event.timestamp).map_or(0, Timestamp::as_millisecond),
            reason: shortened(reason.as_deref().unwrap_or("no reason given")),
            is_malformed_report: event.is_malformed_report(),
        }
    }
}

/// `2 × CUP-WHITE, 1 × SCALE and 3 more`; `None` if the items are invalid.
fn items(payload: &Object<'_>) -> Option<String> {
    let items = order::items(payload).ok()?;
    let named = items.iter().take(MAX_NAMED_ITEMS);
    let named: Vec<_> = named.map(|item| format!("{} × {}", item.quantity, item.sku)).collect();
    let more = items.len().saturating_sub(MAX_NAMED_ITEMS);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(shortened(&format!("{}{rest}", named.join(", "))))
}

fn shortened(text: &str) -> String {
    cut(text, MAX_TEXT_CHARS)
}

/// Cuts a long text, and appends the number of bytes that are left out.
fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some((end, _)) => {
            let (shown, rest) = text.split_at(end);
            format!("{shown}… ({} bytes more)", rest.len())
        }
    }
}

fn is_some<T, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(value.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(items: &serde_json::Value) -> Option<String> {
        super::items(&Object::parse(&json!({ "items": items }).to_string()).unwrap())
    }

    #[test]
    fn the_first_lines_of_an_order_are_named() {
        let line = |sku: &str| json!({ "sku": sku, "quantity": 2 });
        assert_eq!(named(&json!([line("A")])).as_deref(), Some("2 × A"));
        let five = json!([line("A"), line("B"), line("C"), line("D"), line("E")]);
        assert_eq!(named(&five).as_deref(), Some("2 × A, 2 × B, 2 × C and 2 more"));
        assert_eq!(named(&json!([])), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("é"), "é");
        let cut = shortened(&"é".repeat(MAX_TEXT_CHARS + 2));
        assert_eq!(cut.matches('é').count(), MAX_TEXT_CHARS);
        assert!(cut.ends_with("é… (4 bytes more)"), "{cut}");
    }
}
