//! Payload fields with the workflow's own names: they change nothing.

use std::{collections::BTreeSet, time::Duration};

use contracts::{EventType, StageName, Topic};
use engine::RowBody;
use serde_json::{Value, json};
use tokio::time::timeout;

use workflow_tests::stages::Record;

use crate::stocked;

/// Fields that the workflow itself writes into failures, and reads there.
fn marks() -> Value {
    json!({
        "failureReason": "MALFORMED_EVENT: not by the workflow",
        "malformed": true,
        "source": { "topic": "order.created", "partition": 0, "offset": 7 },
        "stage": "validator",
        "originalPayload": { "malformed": true, "customerId": "cust-2" },
    })
}

/// The terminal events, with the quantity and amount of an order that leads to each.
const ENDS: [(EventType, i64, i64); 4] = [
    (EventType::OrderCompleted, 1, 10),
    (EventType::OrderValidationFailed, 1, -1),
    (EventType::OrderInventoryFailed, 11, 10),
    (EventType::OrderPaymentFailed, 1, 1_000),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_with_the_workflows_own_fields_comes_to_every_end() {
    let stages = stocked().await;
    let mut tap = stages.tap().await;

    let mut expected = BTreeSet::new();
    for (end, quantity, amount) in ENDS {
        let order_id = format!("ord-{end}");
        let mut payload = marks();
        payload["customerId"] = "cust-1".into();
        payload["totalAmount"] = amount.into();
        payload["items"] = json!([{ "sku": "A", "quantity": quantity }]);
        let event = json!({
            "eventType": "OrderCreated", "orderId": order_id, "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": payload,
        });
        assert!(stages.store(event.to_string().as_bytes()).await);
        stages.carry(&order_id).await;

        let rows = stages.rows(&order_id).await;
        let RowBody::Data(closed) = &rows[&StageName::Close].body else { panic!("{end}: data") };
        let closed: Value = serde_json::from_str(closed).unwrap();
        let is_completed = end == EventType::OrderCompleted;
        assert_eq!(closed["status"], if is_completed { "COMPLETED" } else { "FAILED" });
        let RowBody::Event(last) = &rows[&end.published_by()].body else { panic!("{end}: event") };
        assert_eq!(last.event_type, end);
        let last: Value = serde_json::from_str(&last.body).unwrap();
        let sent =
            if is_completed { &last["payload"] } else { &last["payload"]["originalPayload"] };
        for (field, value) in marks().as_object().unwrap() {
            assert_eq!(sent[field], *value, "{end}: {field}");
        }
        if !is_completed {
            assert_eq!(last["payload"]["stage"], end.published_by().name());
            assert_eq!(last["payload"].get("malformed"), None);
        }
        expected.insert(format!("{order_id}/{end}"));
    }
    // An event's id consists of its order id and type, whatever its payload contains.
    let mut seen = BTreeSet::new();
    while !expected.is_subset(&seen) {
        let record = timeout(Duration::from_secs(20), tap.next()).await.unwrap().unwrap();
        let event: Value = serde_json::from_slice(record.payload.as_ref().unwrap()).unwrap();
        let id = record.headers.iter().find(|(name, _)| name == "ce_id").unwrap().1.clone();
        let id = String::from_utf8(id.unwrap()).unwrap();
        let own = [&event["orderId"], &event["eventType"]].map(|it| it.as_str().unwrap());
        assert_eq!(id, own.join("/"));
        seen.insert(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_reservation_publishes_no_early_rejection() {
    let stages = stocked().await;
    let event = |event_type: &str| {
        json!({
            "eventType": event_type, "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": {},
        })
        .to_string()
    };
    let created = event("OrderCreated");
    assert!(stages.store(created.as_bytes()).await);
    stages.cancel(created.as_bytes()).await;
    let mut tap = stages.tap().await;
    let forged = Record::of(event("InventoryReserved"));
    stages.deliver(Topic::InventoryReserved, &[forged], 2).await;
    // The validator's event follows every effect of the forged one.
    stages.deliver(Topic::OrderCreated, &[Record::of(created)], 1).await;
    let first = timeout(Duration::from_secs(20), tap.next()).await.unwrap().unwrap();
    let first: Value = serde_json::from_slice(&first.payload.unwrap()).unwrap();
    assert_eq!(first["eventType"], "OrderValidationFailed", "{first}");
}
