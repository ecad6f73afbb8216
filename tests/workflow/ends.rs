//! Recovery and expiry of orders that no client retries.
//!
//! Ages and schedule are seconds here, minutes in AWS.

use std::time::{Duration, Instant};

use contracts::EventType;
use serde_json::Value;
use workflow_tests::{
    recovery::Recovery,
    world::{World, WorldOptions},
};

use crate::{distinct, happy_events, journey, order, world, world_as};

/// Recovery of orders from an age of one second on.
pub(crate) const RECOVERY_ENV: [(&str, &str); 2] =
    [("RECOVERY_AGES_SECONDS", "1"), ("RECOVERY_WINDOW_SECONDS", "600")];

/// Options whose schedules run every second.
pub(crate) fn often_recovered<'a>(function_env: &'a [(&'a str, &'a str)]) -> WorldOptions<'a> {
    let schedule_period = Some(Duration::from_secs(1));
    WorldOptions { function_env, schedule_period, ..WorldOptions::default() }
}

/// The id of the only order, which no response contained.
async fn only_order(world: &World) -> String {
    let rows = world.stack.database.client().scan().table_name(world.stack.table("OrdersTable"));
    let rows = rows.consistent_read(true).send().await.unwrap();
    rows.items().first().expect("an order")["orderId"].as_s().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_intake_that_nobody_repeats_leaves_an_order_that_ends() {
    let mut world = world_as(&often_recovered(&RECOVERY_ENV)).await;
    let mut held = world.database.hold_response(&["\"S\":\"order-api\""]);
    let order = order();
    let post = world.post(&order, None);
    let kill = async {
        assert!(held.executed().await);
        world.stack.functions.as_ref().unwrap().kill("order-api").await
    };
    let ((status, _), killed) = tokio::join!(post, kill);
    let killed_at = Instant::now();
    assert_eq!(status, 500);
    assert!(killed > 0);
    drop(held);

    let order_id = only_order(&world).await;
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    eprintln!("the order ended {:?} after the kill", killed_at.elapsed());
    let events = journey(&mut world, &order_id, 1).await;
    assert_eq!(distinct(&events), happy_events());
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letters_order_ends_once_the_cause_is_gone() {
    let mut world = world_as(&often_recovered(&RECOVERY_ENV)).await;
    let broken = [("sku", "SKU-9"), ("available", "a hundred")];
    world.text_item("StockTable", &broken).await;
    let mut sent = order();
    sent["items"][0]["sku"] = "SKU-9".into();
    let order_id = world.accepted(&sent).await;
    world.until_dead_letter(&order_id).await;
    assert_eq!(world.status(&order_id).await.unwrap()["status"], "PENDING");

    world.stock("SKU-9", 100).await;
    let corrected_at = Instant::now();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    eprintln!("the order ended {:?} after the item was corrected", corrected_at.elapsed());
    assert_eq!(distinct(&journey(&mut world, &order_id, 1).await), happy_events());
    assert_eq!(world.available_and_reserved("SKU-9").await, ("98".to_owned(), "2".to_owned()));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_only_a_person_can_help_delay_no_order_behind_them() {
    let world = world_as(&often_recovered(&RECOVERY_ENV)).await;
    world.text_item("StockTable", &[("sku", "SKU-9"), ("available", "a hundred")]).await;
    let mut stuck = Vec::new();
    for _ in 0..30 {
        let mut sent = order();
        sent["items"][0]["sku"] = "SKU-9".into();
        stuck.push(world.accepted(&sent).await);
    }
    for _ in 0..20 {
        // On several partitions, behind the others.
        let order_id = world.accepted(&order()).await;
        assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    }
    for order_id in &stuck {
        assert_eq!(world.status(order_id).await.unwrap()["status"], "PENDING");
    }
    world.stock("SKU-9", 100).await;
    for order_id in &stuck {
        assert_eq!(world.ended(order_id).await["status"], "COMPLETED");
    }
    assert_eq!(world.available_and_reserved("SKU-9").await, ("40".to_owned(), "60".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_a_dead_letter_happens_once_the_cause_is_gone() {
    let mut world = world().await;
    world.account("cust-1", "1").await;
    world.stack.mappings["PaymentMapping"].pause();
    let order_id = world.accepted(&order()).await;
    world.until_reserved("SKU-1", "2").await;
    let broken = [("sku", "SKU-1"), ("available", "98"), ("reserved", "two")];
    world.text_item("StockTable", &broken).await;
    world.stack.mappings["PaymentMapping"].resume();
    assert_eq!(world.ended(&order_id).await["failedStage"], "payment");
    world.until_dead_letter(&order_id).await;

    world.stock_with_reserved("SKU-1", 98, 2).await;
    Recovery::of(&world).run().await;
    world.until_reserved("SKU-1", "0").await;
    assert_eq!(world.available_and_reserved("SKU-1").await, ("100".to_owned(), "0".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_paid_in_time_expires_and_gives_its_stock_back() {
    let env = [RECOVERY_ENV[0], RECOVERY_ENV[1], ("ORDER_EXPIRES_AFTER_SECONDS", "2")];
    let mut world = world_as(&often_recovered(&env)).await;
    let paid = world.accepted(&order()).await;
    assert_eq!(world.ended(&paid).await["status"], "COMPLETED");
    world.stack.mappings["PaymentMapping"].pause();
    let order_id = world.accepted(&order()).await;
    let status = world.ended(&order_id).await;
    assert_failed(&status, "ORDER_EXPIRED: not paid in time");
    world.until_reserved("SKU-1", "2").await;
    world.stack.mappings["PaymentMapping"].resume();

    // The payment finds the row and publishes its event again.
    let events = world.until_event(&order_id, EventType::OrderPaymentFailed, 2).await;
    assert_eq!(distinct(&events).last(), Some(&EventType::OrderPaymentFailed));
    assert_eq!(world.ended(&paid).await["status"], "COMPLETED");
    assert_eq!(world.available_and_reserved("SKU-1").await, ("98".to_owned(), "2".to_owned()));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

/// Asserts that the order has ended early, with this reason.
pub(crate) fn assert_failed(status: &Value, reason: &str) {
    assert_eq!(status["status"], "FAILED", "{status}");
    assert_eq!(status["failedStage"], "payment", "{status}");
    assert_eq!(status["failureReason"], reason, "{status}");
}
