//! Refunds of orders that are cancelled during the charge: one each, after every kind of fault.

use std::{collections::BTreeMap, time::Duration};

use contracts::EventType;
use tokio::time::timeout;
use workflow_tests::world::WorldOptions;

use crate::{
    accepted, order,
    stripe::{GOOD_CARD, Stripe, changed_world, world},
};

const ORDERS: usize = 20;

async fn until_charged(stripe: &Stripe, customer: &str, at_least: usize) {
    let wait = async {
        while stripe.amounts_by_order(&[customer.to_owned()]).await.len() < at_least {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.expect("the orders are charged");
}

/// The refunded amounts of these orders, in smallest units.
async fn refunds_by_order(stripe: &Stripe, ids: &[String]) -> BTreeMap<String, Vec<u64>> {
    let mut amounts = BTreeMap::<_, Vec<_>>::new();
    for refund in stripe.list("refunds").await {
        let order_id = refund["metadata"]["orderId"].as_str().unwrap().to_owned();
        if ids.contains(&order_id) {
            amounts.entry(order_id).or_default().push(refund["amount"].as_u64().unwrap());
        }
    }
    amounts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_loses_the_race_against_a_cancellation_is_refunded_once() {
    // One process and one batch for each partition: a batch that cannot be stored is redelivered
    // before later batches.
    let options = WorldOptions { processes: Some(12), ..WorldOptions::default() };
    let (stripe, mut world) = changed_world("STRIPE_URL", 4, options).await;
    let customer = stripe.customer(GOOD_CARD).await;
    // The orders are charged, but their rows are not stored.
    world.database.keep_throttling_item(&["PaymentCompleted"]);
    let orders = (1..=ORDERS).map(|number| order(&customer, &format!("{number}.25")));
    world.stack.mappings["PaymentMapping"].pause();
    let ids = accepted(&world, orders).await;
    for order_id in &ids {
        world.until_event(order_id, EventType::InventoryReserved, 1).await;
    }
    world.stack.mappings["PaymentMapping"].resume();
    // A batch cannot end, so an order that was read too late for the first one waits uncharged.
    until_charged(&stripe, &customer, ORDERS / 2).await;
    for order_id in &ids {
        assert_eq!(world.cancel(order_id).await.0, 202);
    }
    // The next process does not know about the charges.
    assert!(world.stack.functions.as_ref().unwrap().kill("payment").await > 0);
    world.database.clear_faults();
    for order_id in &ids {
        let status = world.ended(order_id).await;
        assert_eq!(status["failureReason"], "ORDER_CANCELLED: cancelled before payment");
    }
    world.until_reserved("SKU-1", "0").await;

    // Redeliver everything: each order was charged once and is refunded once.
    for order_id in &ids {
        // One from the cancellation, and one from the two reservations in a batch.
        world.until_event(order_id, EventType::OrderPaymentFailed, 2).await;
        let created = world.until_event(order_id, EventType::InventoryReserved, 2).await;
        let reserved = created.iter().find(|it| it.0 == EventType::InventoryReserved).unwrap();
        let topic = contracts::Topic::InventoryReserved;
        world.write(topic, None, order_id, reserved.1.as_bytes()).await;
    }
    let next = world.accepted(&order(&customer, "5")).await;
    assert_eq!(world.ended(&next).await["status"], "COMPLETED");
    for order_id in &ids {
        // One from the cancellation, and one from each delivery.
        world.until_event(order_id, EventType::OrderPaymentFailed, 3).await;
    }
    let mut charged = stripe.amounts_by_order(&[customer]).await;
    assert_eq!(charged.remove(&next), Some(vec![500]));
    assert_eq!(refunds_by_order(&stripe, &ids).await, charged);
    let refunds = charged.len();
    println!("{ORDERS} orders, {refunds} refunds, {} responses lost", stripe.proxy.lost());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_whose_charge_is_a_dead_letter_is_refunded_at_once() {
    let given_up = [("MaximumRetryAttempts: 10000", "MaximumRetryAttempts: 0")];
    let options = WorldOptions { template_changes: &given_up, ..WorldOptions::default() };
    let (stripe, mut world) = changed_world("STRIPE_URL", 0, options).await;
    let customer = stripe.customer(GOOD_CARD).await;
    world.database.keep_throttling_item(&["PaymentCompleted"]);
    let order_id = world.accepted(&order(&customer, "7.50")).await;
    world.until_dead_letter(&order_id).await;
    let charged = stripe.amounts_by_order(&[customer]).await;
    assert_eq!(charged, BTreeMap::from([(order_id.clone(), vec![750])]));
    world.database.clear_faults();

    assert_eq!(world.cancel(&order_id).await.0, 202);
    let status = world.ended(&order_id).await;
    assert_eq!(status["failureReason"], "ORDER_CANCELLED: cancelled before payment");
    // One from the cancellation, and one from the payment, which has refunded the order.
    world.until_event(&order_id, EventType::OrderPaymentFailed, 2).await;
    assert_eq!(refunds_by_order(&stripe, std::slice::from_ref(&order_id)).await, charged);
    world.until_reserved("SKU-1", "0").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_cancelled_before_its_charge_is_never_charged() {
    let (stripe, mut world) = world("STRIPE_URL", 4).await;
    let customer = stripe.customer(GOOD_CARD).await;
    world.stack.mappings["PaymentMapping"].pause();
    let order_id = world.accepted(&order(&customer, "7.50")).await;
    world.until_event(&order_id, EventType::InventoryReserved, 1).await;
    assert_eq!(world.cancel(&order_id).await.0, 202);
    world.stack.mappings["PaymentMapping"].resume();
    world.until_event(&order_id, EventType::OrderPaymentFailed, 2).await;
    assert!(stripe.list_of("payment_intents", &[customer]).await.is_empty());
    world.until_reserved("SKU-1", "0").await;
    world.stop().await;
}
