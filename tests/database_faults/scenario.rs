//! The course of an order.

use contracts::{EventType, StageName, StoredEvent, Topic};
use engine::Digest;
use serde_json::Value;
use workflow_tests::{
    events::{Events, until},
    recovery::Recovery,
    rows,
    world::World,
};

use crate::subject::{AVAILABLE, BALANCE, CHARGED, QUANTITY, Subject};

/// The mapping that is paused while orders are cancelled before their payment.
pub(crate) const PAUSED: &str = "PaymentMapping";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Completed,
    Invalid,
    OutOfStock,
    Declined,
    /// After its end, its first event is delivered again.
    Redelivered,
    /// An expired row of the validator is still there.
    Expired,
    /// Cancelled after its reservation.
    Cancelled,
    /// Recovered after its reservation.
    Recovered,
    /// Ended unpaid, and not released until it is recovered.
    Unreleased,
    /// Its customer lists orders, and waits for its end.
    Listed,
    /// A malformed record.
    Malformed,
    /// The validator starts anew.
    Started,
}

impl Scenario {
    pub(crate) const ALL: [Self; 12] = [
        Self::Completed,
        Self::Invalid,
        Self::OutOfStock,
        Self::Declined,
        Self::Redelivered,
        Self::Expired,
        Self::Cancelled,
        Self::Recovered,
        Self::Unreleased,
        Self::Listed,
        Self::Malformed,
        Self::Started,
    ];

    /// True if the payment must not come first.
    pub(crate) const fn needs_pause(self) -> bool {
        matches!(self, Self::Cancelled | Self::Recovered)
    }

    /// The events of the order.
    pub(crate) fn events(self) -> Vec<EventType> {
        use EventType::{
            InventoryReserved, OrderCompleted, OrderCreated, OrderInventoryFailed,
            OrderPaymentFailed, OrderValidated, OrderValidationFailed, PaymentCompleted,
        };
        match self {
            Self::Malformed => Vec::new(),
            Self::Invalid => vec![OrderCreated, OrderValidationFailed],
            Self::OutOfStock => vec![OrderCreated, OrderValidated, OrderInventoryFailed],
            Self::Declined | Self::Cancelled | Self::Unreleased => {
                vec![OrderCreated, OrderValidated, InventoryReserved, OrderPaymentFailed]
            }
            _ => vec![
                OrderCreated,
                OrderValidated,
                InventoryReserved,
                PaymentCompleted,
                OrderCompleted,
            ],
        }
    }

    /// Prepares the order before the fault is injected.
    pub(crate) async fn prepare(self, world: &World, events: &Events, subject: &Subject) {
        if self == Self::Unreleased {
            Self::Declined.begin(world, events, subject).await;
            Self::Declined.end(world, events, subject).await;
            // As if the release's record were a dead letter.
            rows::delete(world, &subject.order_id, StageName::Release).await;
            world.stock_with_reserved(&subject.sku, AVAILABLE - QUANTITY, QUANTITY).await;
        }
    }

    /// Everything up to the point at which the payment may go on.
    pub(crate) async fn begin(self, world: &World, events: &Events, subject: &Subject) {
        if self == Self::Unreleased {
            Recovery::of(world).run().await;
            let is_released = async || is_released(world, &subject.order_id).await;
            return until("the release", is_released).await;
        }
        world.stock(&subject.sku, AVAILABLE).await;
        world.account(&subject.customer, BALANCE).await;
        match self {
            Self::Malformed => {
                let value = malformed(subject);
                world.write(Topic::OrderCreated, None, &subject.key, value.as_bytes()).await;
                return;
            }
            Self::Expired => put_expired_row(world, subject).await,
            Self::Started => {
                let functions = world.stack.functions.as_ref().expect("functions");
                functions.kill("validator").await;
            }
            _ => {}
        }
        let (status, body) = world.post(&subject.order(), Some(&subject.key)).await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(body["orderId"], subject.order_id.as_str(), "the id follows from the key");
        if self == Self::Listed {
            list_and_wait(world, subject).await;
        }
        if !self.needs_pause() {
            return;
        }
        let has_turn = async || events.count(&subject.order_id, EventType::InventoryReserved) > 0;
        until("the reservation", has_turn).await;
        if self == Self::Recovered {
            let reserved = || events.count(&subject.order_id, EventType::InventoryReserved);
            let before = reserved();
            Recovery::of(world).run().await;
            return until("the recovered event", async || reserved() > before).await;
        }
        let path = format!("/orders/{}/cancel", subject.order_id);
        let response = world.request("POST", &path, &[], String::new()).await;
        assert_eq!(response.status().as_u16(), 202, "{:?}", response.text().await);
    }

    /// The rest, and the checks of the order and the books.
    pub(crate) async fn end(self, world: &World, events: &Events, subject: &Subject) {
        let order_id = subject.order_id.as_str();
        if self == Self::Malformed {
            return until("the report", async || reports(world, subject).await == 1).await;
        }
        until("its end", async || rows::of(world, order_id).await.contains_key("close")).await;
        if self == Self::Redelivered {
            redeliver(world, events, subject).await;
        }
        for event_type in self.events() {
            let published = async || events.count(order_id, event_type) > 0;
            until(&format!("{event_type}"), published).await;
        }
        let status = world.status(order_id).await.expect("the order is known");
        let is_completed = self.events().contains(&EventType::OrderCompleted);
        let expected = if is_completed { "COMPLETED" } else { "FAILED" };
        assert_eq!(status["status"], expected, "{status}");
        let reserved = if is_completed { QUANTITY } else { 0 };
        // A release and a close of the same event are concurrent.
        let stock = ((AVAILABLE - reserved).to_string(), reserved.to_string());
        let is_right = async || world.available_and_reserved(&subject.sku).await == stock;
        until("the stock", is_right).await;
        let balance = if is_completed { CHARGED } else { BALANCE };
        assert_eq!(world.balance(&subject.customer).await, balance, "balance");
    }
}

/// The rows that report a malformed record.
async fn reports(world: &World, subject: &Subject) -> usize {
    let digest = Digest::of(malformed(subject).as_bytes());
    rows::with_key_text(world, &digest.to_string()).await
}

/// The value of a malformed record.
fn malformed(subject: &Subject) -> String {
    format!("no event of {}", subject.key)
}

async fn put_expired_row(world: &World, subject: &Subject) {
    let known = rows::of(world, &Subject::new("plain-0", Scenario::Completed).order_id).await;
    let mut row = known["validator"].clone();
    rows::set(&mut row, "orderId", rows::text(&subject.order_id));
    rows::set(&mut row, "expiresAt", rows::number("1"));
    rows::put(world, row).await;
}

async fn list_and_wait(world: &World, subject: &Subject) {
    let path = format!("/orders?customerId={}", subject.customer);
    let response = world.request("GET", &path, &[], String::new()).await;
    assert_eq!(response.status().as_u16(), 200);
    let list: Value = response.json().await.unwrap();
    assert_eq!(list["orders"][0]["orderId"], subject.order_id.as_str(), "{list}");
    let path = format!("/orders/{}", subject.order_id);
    let response = world.request("GET", &path, &[("prefer", "wait=5")], String::new()).await;
    assert_eq!(response.status().as_u16(), 200);
}

async fn is_released(world: &World, order_id: &str) -> bool {
    rows::of(world, order_id).await.contains_key(StageName::Release.name())
}

/// Delivers the order's first event again, until its last event was published again.
async fn redeliver(world: &World, events: &Events, subject: &Subject) {
    let order_id = subject.order_id.as_str();
    let completed = || events.count(order_id, EventType::OrderCompleted);
    until("the first end", async || completed() > 0).await;
    let (before, rows_before) = (completed(), rows::of(world, order_id).await);
    let first = events.first(order_id, EventType::OrderCreated).expect("its first event");
    let value = String::from_utf8(first.payload.unwrap_or_default()).expect("JSON");
    let event = StoredEvent::read(value).expect("an event");
    world.write_event(&event, first.partition).await;
    until("the second end", async || completed() > before).await;
    assert_eq!(rows::of(world, order_id).await, rows_before, "rows after a redelivery");
    assert!(rows_before.contains_key(StageName::Validator.name()));
}
