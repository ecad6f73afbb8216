//! The newest orders and failures; older ones are dropped, so that memory has a bound.

use std::collections::{HashMap, VecDeque};

use contracts::{Envelope, EventType};
use local::tap::TapRecord;
use serde::Serialize;

use super::order::{Failure, Order, OrderEvent};
use crate::demo::Put;

/// How many orders are kept.
pub(super) const KEPT_ORDERS: usize = 200;
/// How many failures are kept.
const KEPT_FAILURES: usize = 50;
/// How many events are kept until the first one of their order is seen.
const KEPT_EARLY: usize = 200;

/// The newest orders and failures.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// The oldest first, their numbers without a gap.
    orders: VecDeque<Order>,
    numbers: HashMap<String, u64>,
    next_number: u64,
    failures: VecDeque<Failure>,
    /// Topics are read independently of one another, so that an order's first event may come last.
    early: VecDeque<OrderEvent>,
    /// Grows with every change.
    version: u64,
    failures_version: u64,
}

/// What has changed since a version.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    #[serde(skip)]
    pub(super) version: u64,
    pub(super) orders: Vec<Order>,
    /// All of them, where there are new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failures: Option<Vec<Failure>>,
}

impl Orders {
    /// A record was written; one that is not an event of its topic changes nothing.
    pub(super) fn see(&mut self, record: &TapRecord) {
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
        if self.orders.len() > KEPT_ORDERS
            && let Some(oldest) = self.orders.pop_front()
        {
            self.numbers.remove(&oldest.order_id);
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
            if self.early.len() > KEPT_EARLY {
                self.early.pop_front();
            }
        }
    }

    fn fail(&mut self, event: OrderEvent) {
        self.version = self.version.saturating_add(1);
        self.failures_version = self.version;
        self.failures.push_back(Failure::of(event));
        if self.failures.len() > KEPT_FAILURES {
            self.failures.pop_front();
        }
    }

    /// The first record of an order, where it is still kept.
    pub(super) fn created(&self, order_id: &str) -> Option<Put> {
        self.orders.get(self.place(order_id)?)?.created.clone()
    }

    fn order_mut(&mut self, order_id: &str) -> Option<&mut Order> {
        let place = self.place(order_id)?;
        self.orders.get_mut(place)
    }

    fn place(&self, order_id: &str) -> Option<usize> {
        let first = self.orders.front()?.number;
        usize::try_from(self.numbers.get(order_id)?.checked_sub(first)?).ok()
    }

    /// What has changed since this version; `None` where nothing has.
    pub(super) fn since(&self, version: u64) -> Option<Changes> {
        let has_changed = self.version > version;
        has_changed.then(|| Changes {
            version: self.version,
            orders: self.orders.iter().filter(|order| order.version > version).cloned().collect(),
            failures: (self.failures_version > version)
                .then(|| self.failures.iter().cloned().collect()),
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
    fn an_event_that_comes_again_is_counted_and_changes_nothing_else() {
        let mut orders = Orders::default();
        orders.see(&created("ord-1"));
        orders.see(&failed("ord-1", "PAYMENT_DECLINED"));
        orders.see(&created("ord-1"));
        orders.see(&failed("ord-1", "PAYMENT_DECLINED"));
        let shown = shown(&orders);
        assert_eq!(shown["orders"].as_array().unwrap().len(), 1);
        assert_eq!(shown["orders"][0]["status"], "FAILED");
        assert_eq!(shown["orders"][0]["steps"][0]["times"], 2);
        assert_eq!(shown["failures"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_order_has_failed_though_its_failure_is_seen_before_its_first_event() {
        let mut orders = Orders::default();
        orders.see(&failed("ord-1", "PAYMENT_DECLINED"));
        orders.see(&created("ord-2"));
        orders.see(&created("ord-1"));
        let shown = shown(&orders);
        assert_eq!(shown["orders"][0]["status"], "PENDING");
        assert_eq!(shown["orders"][1]["status"], "FAILED");
        let steps = shown["orders"][1]["steps"].as_array().unwrap().iter();
        let steps: Vec<_> = steps.map(|step| step["event"].as_str().unwrap()).collect();
        assert_eq!(steps, ["OrderCreated", "OrderPaymentFailed"]);
        assert_eq!(shown["failures"].as_array().unwrap().len(), 1);
        assert!(orders.early.is_empty());
    }

    #[test]
    fn the_report_of_a_malformed_record_is_a_failure_and_ends_no_order() {
        let mut orders = Orders::default();
        orders.see(&created("ord-1"));
        let payload = json!({ "failureReason": "MALFORMED_EVENT: because", "malformed": true });
        let report = event("OrderValidationFailed", "ord-1", 9, &payload);
        orders.see(&record("order.failed", &report));
        let shown = shown(&orders);
        assert_eq!(shown["orders"][0]["status"], "PENDING");
        assert_eq!(shown["failures"][0]["isMalformedReport"], true);
    }

    #[test]
    fn an_event_on_a_topic_that_is_not_its_own_is_passed_over() {
        let mut orders = Orders::default();
        orders.see(&TapRecord { topic: "order.dead-letter".to_owned(), ..created("ord-1") });
        orders.see(&TapRecord { payload: Some(b"not JSON \xff".to_vec()), ..created("ord-1") });
        orders.see(&TapRecord { payload: None, ..created("ord-1") });
        assert!(orders.since(0).is_none());
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut orders = Orders::default();
        orders.see(&created("ord-1"));
        orders.see(&created("ord-2"));
        let told = orders.since(0).unwrap().version;
        assert!(orders.since(told).is_none());
        orders.see(&failed("ord-2", "PAYMENT_DECLINED"));
        let changes = orders.since(told).unwrap();
        let changed: Vec<_> = changes.orders.iter().map(|order| &order.order_id).collect();
        assert_eq!(changed, ["ord-2"]);
    }

    #[test]
    fn the_oldest_orders_and_failures_are_forgotten() {
        let mut orders = Orders::default();
        for number in 0..KEPT_ORDERS + 5 {
            let order_id = format!("ord-{number}");
            orders.see(&created(&order_id));
            orders.see(&failed(&order_id, "PAYMENT_DECLINED"));
        }
        assert_eq!(orders.orders.len(), KEPT_ORDERS);
        assert_eq!(orders.numbers.len(), KEPT_ORDERS);
        assert_eq!(orders.failures.len(), KEPT_FAILURES);
        assert!(orders.created("ord-4").is_none() && orders.created("ord-5").is_some());
        orders.see(&record("order.validated", &event("OrderValidated", "ord-0", 1, &json!({}))));
        assert_eq!(orders.orders.len(), KEPT_ORDERS);
        for number in 0..KEPT_EARLY + 5 {
            orders.see(&failed(&format!("unseen-{number}"), "OUT_OF_STOCK"));
        }
        assert_eq!(orders.early.len(), KEPT_EARLY);
    }
}
