//! The path of an order that completes, and of one that each stage rejects.

use contracts::{EventType, Topic, happy_path};
use serde_json::{Value, json};

use crate::{distinct, happy_events, journey, order, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_through_every_stage() {
    let mut world = world().await;
    let sent = r#"{"customerId":"cust-1","items":[{"sku":"SKU-1","quantity":2,"colour":"red"}],"totalAmount":12.50,"serial":123456789012345678901234567890,"gift":{"to":"Müller ☕"}}"#;
    let response = world.request("POST", "/orders", &[], sent.to_owned()).await;
    assert_eq!(response.status().as_u16(), 202);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let order_id = body["orderId"].as_str().unwrap();
    assert_eq!(location, format!("/orders/{order_id}"));

    let status = world.ended(order_id).await;
    assert_eq!(status["status"], "COMPLETED");
    let timeline = status["timeline"].as_array().unwrap().iter();
    let stages = timeline.map(|entry| entry["stage"].as_str().unwrap());
    assert!(stages.eq(happy_path().map(|spec| spec.name.name())), "{status}");

    let events = journey(&mut world, order_id, 1).await;
    assert_eq!(distinct(&events), happy_events());
    for (event_type, body) in &events {
        let schema: Value = serde_json::from_str(event_type.schema()).unwrap();
        let event: Value = serde_json::from_str(body).unwrap();
        assert!(jsonschema::is_valid(&schema, &event), "{body}");
        assert_eq!(event["correlationId"], status["correlationId"]);
    }
    let (_, completed) = events.last().unwrap();
    let fields = sent.trim_end_matches('}').to_owned() + "}";
    assert!(completed.contains(fields.trim_matches(['{', '}'])), "{completed}");
    for field in happy_path().flat_map(|spec| spec.adds) {
        assert!(completed.contains(&format!(r#","{field}":"#)), "{field}: {completed}");
    }

    assert_eq!(world.available_and_reserved("SKU-1").await, ("98".to_owned(), "2".to_owned()));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_rejected_at_each_stage_with_its_reason() {
    let world = world().await;
    let rejected = [
        (
            json!({ "items": [], "totalAmount": -1 }),
            "validator",
            "VALIDATION_FAILED: missing customerId; items must be a list of at least one item; \
             totalAmount must be above zero",
        ),
        (
            json!({
                "customerId": "cust-1", "totalAmount": 1,
                "items": [{ "sku": "SKU-1", "quantity": 60 }, { "sku": "SKU-1", "quantity": 41 }],
            }),
            "inventory",
            "OUT_OF_STOCK: SKU-1 wanted 101, available 100",
        ),
        (
            json!({
                "customerId": "cust-1", "totalAmount": 1,
                "items": [{ "sku": "SKU-0", "quantity": 1 }, { "sku": "SKU-1", "quantity": 101 }],
            }),
            "inventory",
            "UNKNOWN_SKU: SKU-0 is not sold here; SKU-1 wanted 101, available 100",
        ),
        (
            json!({
                "customerId": "cust-1",
                "totalAmount": serde_json::from_str::<Value>("1000.10").unwrap(),
                "items": [{ "sku": "SKU-1", "quantity": 1 }],
            }),
            "payment",
            "PAYMENT_DECLINED: the balance does not cover 1000.10",
        ),
        (
            json!({
                "customerId": "cust-0", "totalAmount": 1,
                "items": [{ "sku": "SKU-1", "quantity": 1 }],
            }),
            "payment",
            "PAYMENT_DECLINED: the customer has no account",
        ),
    ];
    for (order, stage, reason) in rejected {
        let order_id = world.accepted(&order).await;
        let status = world.ended(&order_id).await;
        assert_eq!(status["status"], "FAILED");
        assert_eq!(status["failedStage"], stage);
        assert_eq!(status["failureReason"], reason);
    }
    assert_eq!(world.balance("cust-1").await, "1000");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payment_gives_the_stock_back_once() {
    let mut world = world().await;
    let mut dear = order();
    dear["totalAmount"] = 1000.01.into();
    let order_id = world.accepted(&dear).await;
    let events = world.until_event(&order_id, EventType::OrderPaymentFailed, 1).await;
    let (_, failed) = events.last().unwrap().clone();
    // Write the failure twice more, then an order whose end shows that both have been handled.
    world.write(Topic::OrderFailed, Some(0), &order_id, failed.as_bytes()).await;
    world.write(Topic::OrderFailed, Some(0), &order_id, failed.as_bytes()).await;
    assert_eq!(world.ended(&order_id).await["failedStage"], "payment");
    let release = || {
        let outcomes = world.stack.functions.as_ref().unwrap().outcomes().snapshot();
        let count = |outcome: &str| {
            outcomes.get(&("release".to_owned(), outcome.to_owned())).copied().unwrap_or_default()
        };
        count("accepted") >= 1 && count("redelivered") >= 2
    };
    for _ in 0..600 {
        if release() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(release(), "the failure is handled three times");
    assert_eq!(world.available_and_reserved("SKU-1").await, ("100".to_owned(), "0".to_owned()));
    assert_eq!(world.balance("cust-1").await, "1000");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_fed_twice_changes_nothing() {
    let mut world = world().await;
    let order_id = world.accepted(&order()).await;
    let events = journey(&mut world, &order_id, 1).await;
    let ended = world.ended(&order_id).await;
    for (event_type, body) in &events {
        world.write(event_type.topic(), None, &order_id, body.as_bytes()).await;
    }
    // The stages pass each duplicate on. Those in one batch are published once, so there is at
    // least one more event from the stage, and the one written here.
    let events = journey(&mut world, &order_id, 3).await;
    assert_eq!(distinct(&events), happy_events());
    assert_eq!(world.status(&order_id).await.unwrap(), ended);
    assert_eq!(world.available_and_reserved("SKU-1").await, ("98".to_owned(), "2".to_owned()));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_late_changes_nothing() {
    let mut world = world().await;
    let order_id = world.accepted(&order()).await;
    let events = journey(&mut world, &order_id, 1).await;
    let ended = world.ended(&order_id).await;
    // Write the order's events again in reverse, and a failure after its end.
    for (event_type, body) in events.iter().rev() {
        world.write(event_type.topic(), None, &order_id, body.as_bytes()).await;
    }
    let late = json!({
        "eventType": "OrderNotificationFailed", "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z",
        "payload": { "failureReason": "NOTIFICATION_FAILED: it comes late" },
    });
    world.write(Topic::OrderFailed, None, &order_id, late.to_string().as_bytes()).await;
    let events = journey(&mut world, &order_id, 3).await;
    let completed: Vec<_> =
        events.into_iter().filter(|(event_type, _)| happy_events().contains(event_type)).collect();
    assert_eq!(distinct(&completed), happy_events());
    assert_eq!(world.status(&order_id).await.unwrap(), ended);
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}
