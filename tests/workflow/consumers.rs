//! The example consumers in `consumers/`, run against the workflow.

use std::{collections::BTreeSet, path::Path};

use contracts::{EventType, OrderId, StoredEvent, Topic};
use serde_json::Value;
use workflow_tests::world::root;

use crate::{consumer_process::Reader, journey, order, world};

const DIGITS: &str = "123456789012345678901234567890";
const DECIMALS: &str = "0.123456789012345678901234567890";

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_consumer_prints_each_event_once_with_every_field_and_digit() {
    let built = emulator::binaries::build(&root(), &["consumer".to_owned()]).await.unwrap();
    prints_each_event_once_with_every_field_and_digit(&[built["consumer"].as_path()]).await;
}

#[cfg(feature = "python-consumer")]
#[tokio::test(flavor = "multi_thread")]
async fn the_python_consumer_prints_each_event_once_with_every_field_and_digit() {
    let python =
        std::env::var("CONSUMER_PYTHON").expect("scripts/check-python-consumer runs this test");
    let program = root().join("consumers/python/consume.py");
    prints_each_event_once_with_every_field_and_digit(&[Path::new(&python), &program]).await;
}

async fn prints_each_event_once_with_every_field_and_digit(program: &[&Path]) {
    let mut world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("handled.sqlite");
    // One order by POST, with an idempotency key to publish it again; one written directly, because
    // clients cannot add fields to the envelope.
    let key = uuid::Uuid::new_v4().to_string();
    let payload = format!(
        r#"{{"customerId":"cust-1","items":[{{"sku":"SKU-1","quantity":2,"serial":{DIGITS},"size":{{"width":{DECIMALS}}}}}],"totalAmount":12.50,"serial":{DIGITS},"gift":{{"weight":{DECIMALS},"to":"Müller ☕","tags":[null,{{"deep":true}}]}}}}"#
    );
    let sent = [("idempotency-key", key.as_str())];
    let response = world.request("POST", "/orders", &sent, payload.clone()).await;
    let response: Value = response.json().await.unwrap();
    let posted = response["orderId"].as_str().unwrap();
    let written = format!("ord-{}", uuid::Uuid::new_v4());
    let created = format!(
        r#"{{"eventType":"OrderCreated","tenant":{{"id":{DIGITS},"share":{DECIMALS}}},"orderId":"{written}","correlationId":"corr-1","timestamp":"2026-02-06T12:00:00Z","payload":{payload},"trace":null}}"#
    );
    world.write(Topic::OrderCreated, None, &written, created.as_bytes()).await;
    for order_id in [posted, &written] {
        journey(&mut world, order_id, 1).await;
    }

    let partitions: BTreeSet<i32> = [posted, &written]
        .into_iter()
        .flat_map(|order_id| world.records(order_id, EventType::OrderCompleted))
        .map(|record| record.partition)
        .collect();

    let mut first = Reader::start(program, &world, &database);
    let lines = first.read_up_to_now(&world, &partitions).await;
    let sent: Value = serde_json::from_str(&payload).unwrap();
    for order_id in [posted, &written] {
        let line = lines.iter().find(|line| line["event"]["orderId"] == *order_id).unwrap();
        assert_eq!(line["id"], format!("{order_id}/OrderCompleted"));
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(line["event"]["payload"][name].to_string(), value.to_string(), "{name}");
        }
        if order_id == written {
            let tenant = format!(r#"{{"id":{DIGITS},"share":{DECIMALS}}}"#);
            assert_eq!(line["event"]["tenant"].to_string(), tenant);
            assert_eq!(line["event"].get("trace"), Some(&Value::Null));
        }
    }

    // Publish everything again, and read from the start in another group.
    drop(first);
    let again = [("idempotency-key", key.as_str())];
    world.request("POST", "/orders", &again, payload).await;
    journey(&mut world, posted, 2).await;
    let mut second = Reader::start(program, &world, &database);
    let lines = second.read_up_to_now(&world, &partitions).await;
    assert!(lines.iter().all(|line| line["event"]["orderId"] != *posted), "{lines:?}");
    assert!(lines.iter().all(|line| line["event"]["orderId"] != *written), "{lines:?}");
    drop(second);
    world.stop().await;
}

/// An `OrderCompleted` event as the notification publishes it.
pub(crate) fn completed(order_id: &str) -> StoredEvent {
    let order_id = OrderId::parse(order_id).unwrap();
    let (timestamp, payload) = (jiff::Timestamp::UNIX_EPOCH, order().to_string());
    StoredEvent::new(EventType::OrderCompleted, &order_id, "corr-1", timestamp, &payload)
}
