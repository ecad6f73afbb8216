//! `POST /orders/{orderId}/cancel`, before and after each stage and during the charge.

use contracts::EventType;
use serde_json::{Value, json};
use workflow_tests::events::until;

use crate::{
    distinct, ends::assert_failed, event_files::invoke, journey, order, world, world_with,
};

const CANCELLED: &str = "ORDER_CANCELLED: cancelled before payment";

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_is_not_charged_and_gives_its_stock_back() {
    let mut world = world().await;
    world.stack.mappings["PaymentMapping"].pause();
    let order_id = world.accepted(&order()).await;
    world.until_event(&order_id, EventType::InventoryReserved, 1).await;
    let (status, body) = world.cancel(&order_id).await;
    assert_eq!((status, &body["orderId"]), (202, &json!(order_id)), "{body}");
    // The event is published although the payment's mapping is paused.
    assert_failed(&world.ended(&order_id).await, CANCELLED);
    world.until_reserved("SKU-1", "0").await;
    let (status, body) = world.cancel(&order_id).await;
    assert_eq!((status, &body["status"]), (202, &json!("FAILED")), "{body}");

    world.stack.mappings["PaymentMapping"].resume();
    let events = world.until_event(&order_id, EventType::OrderPaymentFailed, 3).await;
    assert_eq!(distinct(&events).last(), Some(&EventType::OrderPaymentFailed));
    // Each cancellation publishes it again, in case the payment's record is a dead letter.
    world.until_event(&order_id, EventType::InventoryReserved, 3).await;
    let next = world.accepted(&order()).await;
    assert_eq!(world.ended(&next).await["status"], "COMPLETED");
    // A row from another event than the payment's does not count as a conflict.
    let of_payment = |outcome: &str| {
        let outcomes = world.stack.functions.as_ref().unwrap().outcomes().snapshot();
        outcomes.get(&("payment".to_owned(), outcome.to_owned())).copied().unwrap_or_default()
    };
    let number = || of_payment("ended-early") + of_payment("conflicting");
    until("three records of the payment", async || number() >= 3).await;
    assert_eq!(of_payment("conflicting"), 0);
    assert_eq!(world.available_and_reserved("SKU-1").await, ("98".to_owned(), "2".to_owned()));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_cancelled_before_it_is_validated() {
    let mut world = world().await;
    world.stack.mappings["ValidatorMapping"].pause();
    let order_id = world.accepted(&order()).await;
    assert_eq!(world.cancel(&order_id).await.0, 202);
    assert_eq!(world.cancel(&order_id).await.0, 202);
    let status = world.status(&order_id).await.unwrap();
    assert_eq!(status["status"], "PENDING");
    assert!(status["cancelledAt"].is_string(), "{status}");
    assert_eq!(status["timeline"].as_array().unwrap().len(), 1, "{status}");

    world.stack.mappings["ValidatorMapping"].resume();
    let status = world.ended(&order_id).await;
    assert_failed(&status, CANCELLED);
    assert_eq!(status["timeline"].as_array().unwrap().len(), 4, "{status}");
    let events = world.until_event(&order_id, EventType::OrderPaymentFailed, 1).await;
    assert_eq!(distinct(&events).last(), Some(&EventType::OrderPaymentFailed));
    world.until_reserved("SKU-1", "0").await;
    assert_eq!(world.balance("cust-1").await, "1000");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_that_fails_before_payment_ends_as_it_failed() {
    let mut world = world().await;
    let invalid = json!({ "customerId": "cust-1" });
    let mut short = order();
    short["items"][0]["quantity"] = 1_000.into();
    for (sent, stage, code) in
        [(invalid, "validator", "VALIDATION_FAILED"), (short, "inventory", "OUT_OF_STOCK")]
    {
        world.stack.mappings["ValidatorMapping"].pause();
        let order_id = world.accepted(&sent).await;
        assert_eq!(world.cancel(&order_id).await.0, 202);
        world.stack.mappings["ValidatorMapping"].resume();
        let status = world.ended(&order_id).await;
        assert_eq!((&status["status"], &status["failedStage"]), (&json!("FAILED"), &json!(stage)));
        assert!(status["failureReason"].as_str().unwrap().starts_with(code), "{status}");
        let timeline = status["timeline"].as_array().unwrap();
        assert!(timeline.iter().all(|it| it["stage"] != "payment"), "{status}");
        assert_eq!(world.cancel(&order_id).await.0, 409);
        assert!(world.records(&order_id, EventType::OrderPaymentFailed).is_empty());
    }
    // After a later order has completed, there is still no payment event of these orders.
    let next = world.accepted(&order()).await;
    world.ended(&next).await;
    journey(&mut world, &next, 1).await;
    let failures = [EventType::OrderPaymentFailed];
    assert!(world.all_events().iter().all(|it| !failures.contains(it)));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_ended_or_unknown_cannot_be_cancelled() {
    let mut world = world().await;
    world.stack.mappings["NotificationMapping"].pause();
    let order_id = world.accepted(&order()).await;
    world.until_event(&order_id, EventType::PaymentCompleted, 1).await;
    let (status, problem) = world.cancel(&order_id).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("paid"), "{problem}");
    world.stack.mappings["NotificationMapping"].resume();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    assert_eq!(world.cancel(&order_id).await.0, 409);

    let mut poor = order();
    poor["totalAmount"] = 100_000.into();
    let declined = world.accepted(&poor).await;
    world.ended(&declined).await;
    let (status, problem) = world.cancel(&declined).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("has ended"), "{problem}");
    assert_eq!(world.cancel("ord-unknown").await.0, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_amid_a_cancellation_leaves_an_order_that_ends_cancelled() {
    let mut world = world().await;
    world.stack.mappings["PaymentMapping"].pause();
    let order_id = world.accepted(&order()).await;
    world.until_event(&order_id, EventType::InventoryReserved, 1).await;
    let mut held = world.database.hold_response(&["\"S\":\"payment\""]);
    let kill = async {
        assert!(held.executed().await);
        world.stack.functions.as_ref().unwrap().kill("order-api").await
    };
    let ((status, _), killed) = tokio::join!(world.cancel_once(&order_id), kill);
    assert_eq!(status, 500);
    assert!(killed > 0);
    drop(held);

    world.stack.mappings["PaymentMapping"].resume();
    assert_failed(&world.ended(&order_id).await, CANCELLED);
    world.until_reserved("SKU-1", "0").await;
    assert_eq!(world.balance("cust-1").await, "1000");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_cancels_their_own_orders_only() {
    let world = world_with(&[("CUSTOMER_CLAIM", "sub")]).await;
    world.stack.mappings["ValidatorMapping"].pause();
    let request = |customer_id: &str, path: &str, body: &str| {
        json!({
            "rawPath": path, "body": body, "headers": {},
            "requestContext": {
                "http": { "method": "POST" },
                "authorizer": { "jwt": { "claims": { "sub": customer_id } } },
            },
        })
    };
    let post = request("cust-1", "/orders", &order().to_string());
    let accepted = invoke(&world, "order-api", &post).await;
    let body: Value = serde_json::from_str(accepted["body"].as_str().unwrap()).unwrap();
    let path = format!("/orders/{}/cancel", body["orderId"].as_str().unwrap());
    for (customer_id, status) in [("cust-2", 404), ("cust-1", 202)] {
        let response = invoke(&world, "order-api", &request(customer_id, &path, "")).await;
        assert_eq!(response["statusCode"], status, "{customer_id}: {response}");
    }
    world.stop().await;
}
