//! The newest orders and failures. Older ones are dropped to bound memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use contracts::{Envelope, EventType};
use emulator::tap::TapRecord;
use serde::Serialize;

use super::order::{Failure, Order, OrderEvent};
use crate::fixtures::CreatedRecord;

pub(super) const MAX_ORDERS: usize = 200;
const MAX_FAILURES: usize = 50;
/// Total of the `OrderCreated` records that are kept for redeliveries. Every other text is cut.
const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Events that are kept until the first event of their order arrives.
const MAX_EARLY_EVENTS: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Orders {
    /// The oldest first, numbered without gaps.
    orders: VecDeque<Order>,
    numbers: HashMap<String, u64>,
    next_number: u64,
    failures: Failures,
    /// Topics are read independently, so an order's first event may arrive last.
    early: VecDeque<OrderEvent>,
    /// Incremented at every change.
    version: u64,
    failures_version: u64,
}

/// The newest failures, the oldest first, and the number of all.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failures {
    failed_orders: u64,
    malformed_records: u64,
    newest: VecDeque<Failure>,
}

/// The changes since a version.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    #[serde(skip)]
    pub(super) version: u64,
    pub(super) orders: Vec<Order>,
    /// If there is a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failures: Option<Failures>,
}

impl Orders {
    /// Adds a record. Ignores records that are not an event of their topic.
    pub(super) fn observe(&mut self, record: &TapRecord) {
        let Some(payload) = record.payload.as_deref() else { return };
        let Ok(event) = Envelope::decode(payload) else { return };
        if event.event_type.topic().name() != record.topic {
            return;
        }
        let order_event = OrderEvent::of(&event);
        if order_event.is_malformed_report {
            self.fail(order_event);
            return;
        }
        if event.event_type == EventType::OrderCreated
            && !self.numbers.contains_key(event.order_id.as_str())
        {
            self.add(&event, record);
        }
        self.step(order_event);
    }

    fn add(&mut self, event: &Envelope<'_>, record: &TapRecord) {
        let mut order = Order::new(self.next_number, event, record);
        self.early.retain(|early| {
            let is_of_order = early.order_id == event.order_id.as_str();
            if is_of_order {
                order.step(early);
            }
            !is_of_order
        });
        self.orders.push_back(order);
        self.numbers.insert(event.order_id.to_string(), self.next_number);
        self.next_number = self.next_number.saturating_add(1);
        if self.orders.len() > MAX_ORDERS
            && let Some(oldest) = self.orders.pop_front()
        {
            self.numbers.remove(&oldest.order_id);
        }
        self.drop_oldest_records();
    }

    /// Drops the oldest records until the others fit.
    fn drop_oldest_records(&mut self) {
        let version = self.version.saturating_add(1);
        let mut total: usize = self.orders.iter().map(Order::record_bytes).sum();
        for order in &mut self.orders {
            if total <= MAX_RECORD_BYTES {
                return;
            }
            total = total.saturating_sub(order.record_bytes());
            if order.created.take().is_some() {
                order.version = version;
                self.version = version;
            }
        }
    }

    fn step(&mut self, event: OrderEvent) {
        self.version = self.version.saturating_add(1);
        let version = self.version;
        let order = self.order_mut(&event.order_id);
        let is_early = order.is_none();
        let is_new = order.is_none_or(|order| {
            order.version = version;
            order.step(&event)
        });
        if is_new && event.event_type.is_failure() {
            self.fail(event.clone());
        }
        if is_early {
            self.early.push_back(event);
            if self.early.len() > MAX_EARLY_EVENTS {
                self.early.pop_front();
            }
        }
    }

    fn fail(&mut self, event: OrderEvent) {
        self.version = self.version.saturating_add(1);
        self.failures_version = self.version;
        let Failures { failed_orders, malformed_records, newest } = &mut self.failures;
        let count = if event.is_malformed_report { malformed_records } else { failed_orders };
        *count = count.saturating_add(1);
        newest.push_back(Failure::of(event));
        if newest.len() > MAX_FAILURES {
            newest.pop_front();
        }
    }

    /// The `OrderCreated` record of an order, if it is still kept.
    pub(super) fn created(&self, order_id: &str) -> Option<Arc<CreatedRecord>> {
        self.orders.get(self.index(order_id)?)?.created.clone()
    }

    fn order_mut(&mut self, order_id: &str) -> Option<&mut Order> {
        let index = self.index(order_id)?;
        self.orders.get_mut(index)
    }

    fn index(&self, order_id: &str) -> Option<usize> {
        let first = self.orders.front()?.number;
        usize::try_from(self.numbers.get(order_id)?.checked_sub(first)?).ok()
    }

    /// The changes since this version; `None` without a change.
    pub(super) fn since(&self, version: u64) -> Option<Changes> {
        let has_changed = self.version > version;
        has_changed.then(|| Changes {
            version: self.version,
            orders: self.orders.iter().filter(|order| order.version > version).cloned().collect(),
            failures: (self.failures_version > version).then(|| self.failures.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(topic: &str, event: &Value) -> TapRecord {
        TapRecord {
            topic: topic.to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: Some(b"key".to_vec()),
            payload: Some(event.to_string().into_bytes()),
            headers: Vec::new(),
        }
    }

    fn event(event_type: &str, order_id: &str, second: u32, payload: &Value) -> Value {
        json!({
            "eventType": event_type, "orderId": order_id, "correlationId": "c",
            "timestamp": format!("2026-02-06T12:00:{second:02}Z"), "payload": payload,
        })
    }

    fn created(order_id: &str) -> TapRecord {
        let payload = json!({ "customerId": "cust-1", "totalAmount": 1 });
        record("order.created", &event("OrderCreated", order_id, 0, &payload))
    }

    fn failed(order_id: &str, code: &str) -> TapRecord {
        let payload = json!({ "failureReason": format!("{code}: because") });
        record("order.failed", &event("OrderPaymentFailed", order_id, 9, &payload))
    }

    fn shown(orders: &Orders) -> Value {
        serde_json::to_value(orders.since(0)).unwrap()
    }

    #[test]
    fn a_duplicate_event_is_only_counted() {
        let mut orders = Orders::default();
        orders.observe(&created("ord-1"));
        orders.observe(&failed("ord-1", "PAYMENT_DECLINED"));
        orders.observe(&created("ord-1"));
        orders.observe(&failed("ord-1", "PAYMENT_DECLINED"));
        let shown = shown(&orders);
        assert_eq!(shown["orders"].as_array().unwrap().len(), 1);
        assert_eq!(shown["orders"][0]["status"], "FAILED");
        assert_eq!(shown["orders"][0]["steps"][0]["times"], 2);
        assert_eq!(shown["failures"]["newest"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_order_has_failed_although_its_failure_arrives_before_its_first_event() {
        let mut orders = Orders::default();
        orders.observe(&failed("ord-1", "PAYMENT_DECLINED"));
        orders.observe(&created("ord-2"));
        orders.observe(&created("ord-1"));
        let shown = shown(&orders);
        assert_eq!(shown["orders"][0]["status"], "PENDING");
        assert_eq!(shown["orders"][1]["status"], "FAILED");
        let steps = shown["orders"][1]["steps"].as_array().unwrap().iter();
        let steps: Vec<_> = steps.map(|step| step["event"].as_str().unwrap()).collect();
        assert_eq!(steps, ["OrderCreated", "OrderPaymentFailed"]);
        assert_eq!(shown["failures"]["newest"].as_array().unwrap().len(), 1);
        assert!(orders.early.is_empty());
    }

    #[test]
    fn the_report_of_a_malformed_record_is_a_failure_but_ends_no_order() {
        let mut orders = Orders::default();
        orders.observe(&created("ord-1"));
        let payload = json!({ "failureReason": "MALFORMED_EVENT: because", "malformed": true });
        let report = event("OrderValidationFailed", "ord-1", 9, &payload);
        orders.observe(&record("order.failed", &report));
        let shown = shown(&orders);
        assert_eq!(shown["orders"][0]["status"], "PENDING");
        assert_eq!(shown["failures"]["newest"][0]["isMalformedReport"], true);
        assert_eq!(shown["failures"]["malformedRecords"], 1);
        assert_eq!(shown["failures"]["failedOrders"], 0);
    }

    #[test]
    fn an_event_on_another_topic_is_ignored() {
        let mut orders = Orders::default();
        orders.observe(&TapRecord { topic: "order.dead-letter".to_owned(), ..created("ord-1") });
        orders.observe(&TapRecord { payload: Some(b"not JSON \xff".to_vec()), ..created("ord-1") });
        orders.observe(&TapRecord { payload: None, ..created("ord-1") });
        assert!(orders.since(0).is_none());
    }

    #[test]
    fn only_changes_are_sent() {
        let mut orders = Orders::default();
        orders.observe(&created("ord-1"));
        orders.observe(&created("ord-2"));
        let version = orders.since(0).unwrap().version;
        assert!(orders.since(version).is_none());
        orders.observe(&failed("ord-2", "PAYMENT_DECLINED"));
        let changes = orders.since(version).unwrap();
        let changed: Vec<_> = changes.orders.iter().map(|order| &order.order_id).collect();
        assert_eq!(changed, ["ord-2"]);
    }

    #[test]
    fn the_oldest_orders_and_failures_are_dropped() {
        let mut orders = Orders::default();
        for number in 0..MAX_ORDERS + 5 {
            let order_id = format!("ord-{number}");
            orders.observe(&created(&order_id));
            orders.observe(&failed(&order_id, "PAYMENT_DECLINED"));
        }
        assert_eq!(orders.orders.len(), MAX_ORDERS);
        assert_eq!(orders.numbers.len(), MAX_ORDERS);
        assert_eq!(orders.failures.newest.len(), MAX_FAILURES);
        assert_eq!(shown(&orders)["failures"]["failedOrders"], MAX_ORDERS + 5);
        assert!(orders.created("ord-4").is_none() && orders.created("ord-5").is_some());
        orders
            .observe(&record("order.validated", &event("OrderValidated", "ord-0", 1, &json!({}))));
        assert_eq!(orders.orders.len(), MAX_ORDERS);
        for number in 0..MAX_EARLY_EVENTS + 5 {
            orders.observe(&failed(&format!("unseen-{number}"), "OUT_OF_STOCK"));
        }
        assert_eq!(orders.early.len(), MAX_EARLY_EVENTS);
    }
}
