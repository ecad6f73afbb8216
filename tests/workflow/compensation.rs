//! Effects of each failure: the order's status, its stock, the customer's money.
//!
//! For a failed payment, see `journey`: `a_failed_payment_gives_the_stock_back_once`.

use std::time::Duration;

use contracts::{EventType, OrderId, StoredEvent, Topic};
use engine::row::MAX_EVENT_BYTES;
use serde_json::{Value, json};
use workflow_tests::world::World;

use crate::{order, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_rejected_before_payment_leaves_nothing_behind() {
    let world = world().await;
    world.stock("SKU-2", 1).await;
    let line = |sku, quantity| json!({ "sku": sku, "quantity": quantity });
    let rejected = [
        (json!([line("SKU-1", 0)]), "validator", "VALIDATION_FAILED"),
        (json!([line("SKU-1", 2), line("SKU-2", 2)]), "inventory", "OUT_OF_STOCK"),
        (json!([line("SKU-1", 2), line("SKU-0", 2)]), "inventory", "UNKNOWN_SKU"),
    ];
    for (items, stage, code) in rejected {
        let mut order = order();
        order["items"] = items;
        let order_id = world.accepted(&order).await;
        assert_failed(&world.ended(&order_id).await, stage, code);
    }
    assert_left(&world, ("100", "0"), "1000").await;
    assert_eq!(world.available_and_reserved("SKU-2").await, ("1".to_owned(), "0".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_event_is_too_large_gives_the_stock_back_and_takes_no_money() {
    let mut world = world().await;
    let order_id = write_order(&world, EventType::InventoryReserved).await;
    world.until_event(&order_id, EventType::OrderPaymentFailed, 1).await;
    assert_failed(&world.ended(&order_id).await, "payment", "EVENT_TOO_LARGE");
    // The stock is released although the failure contains no payload.
    let mut stock = world.available_and_reserved("SKU-1").await;
    for _ in 0..600 {
        if stock.1 == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        stock = world.available_and_reserved("SKU-1").await;
    }
    assert_left(&world, ("100", "0"), "1000").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_notification_leaves_a_paid_order_and_says_so() {
    let mut world = world().await;
    let order_id = write_order(&world, EventType::PaymentCompleted).await;
    world.until_event(&order_id, EventType::OrderNotificationFailed, 1).await;
    let status = world.ended(&order_id).await;
    assert_failed(&status, "notification", "EVENT_TOO_LARGE");
    let timeline = status["timeline"].as_array().unwrap().iter();
    let events: Vec<&str> = timeline.map(|it| it["event"].as_str().unwrap()).collect();
    assert!(events.contains(&"PaymentCompleted"), "{status}");
    assert!(!events.contains(&"OrderCompleted"), "{status}");
    // Once a later order has completed, all compensation is done.
    let next = world.accepted(&order()).await;
    assert_eq!(world.ended(&next).await["status"], "COMPLETED");
    assert_left(&world, ("96", "4"), "975").await;
    world.stop().await;
}

fn assert_failed(status: &Value, stage: &str, code: &str) {
    assert_eq!(status["status"], "FAILED", "{status}");
    assert_eq!(status["failedStage"], stage, "{status}");
    let reason = status["failureReason"].as_str().unwrap();
    assert_eq!(reason.split(':').next(), Some(code), "{reason}");
}

async fn assert_left(world: &World, stock: (&str, &str), balance: &str) {
    let (available, reserved) = world.available_and_reserved("SKU-1").await;
    assert_eq!((available.as_str(), reserved.as_str()), stock);
    assert_eq!(world.balance("cust-1").await, balance);
}

/// Writes an order larger than the intake limit, whose event of this type is the first one too
/// large for its stage.
async fn write_order(world: &World, too_large: EventType) -> String {
    let order_id = format!("ord-{}", uuid::Uuid::new_v4());
    let size = |padding| {
        let mut payload = padded(padding);
        payload["reservationId"] = format!("res-{order_id}").into();
        if too_large == EventType::PaymentCompleted {
            payload["paymentId"] = format!("pay-{order_id}").into();
        }
        event(too_large, &order_id, &payload).body.len()
    };
    let padding = MAX_EVENT_BYTES + 1 - size(0);
    assert_eq!(size(padding), MAX_EVENT_BYTES + 1);
    let created = event(EventType::OrderCreated, &order_id, &padded(padding));
    world.write(Topic::OrderCreated, None, &order_id, created.body.as_bytes()).await;
    order_id
}

fn padded(padding: usize) -> Value {
    let mut payload = order();
    payload["note"] = "x".repeat(padding).into();
    payload
}

fn event(event_type: EventType, order_id: &str, payload: &Value) -> StoredEvent {
    let order_id = OrderId::parse(order_id).unwrap();
    let timestamp = jiff::Timestamp::UNIX_EPOCH;
    StoredEvent::new(event_type, &order_id, "corr-1", timestamp, &payload.to_string())
}
