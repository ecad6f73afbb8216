//! Records that only a person can help: they become dead letters, and hold up no other.

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::Topic;
use serde_json::{Value, json};

use crate::harness::{Harness, event, record};

const DEAD_LETTERS: &str = "order.dead-letter";

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_item_holds_up_only_its_own_order() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    harness.broken_stock("B").await;
    let batch =
        [record(0, &event("ord-broken", &[("B", 1)])), record(1, &event("ord-good", &[("A", 1)]))];
    let started = Instant::now();
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    // Nothing waits for a person.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(harness.published(Topic::InventoryReserved, 1)[0].key, "ord-good");

    let letter = &harness.published_on(DEAD_LETTERS, 1)[0];
    assert_eq!(letter.key, "ord-broken");
    let letter: Value = serde_json::from_str(&letter.body).unwrap();
    assert_eq!(letter["requestContext"]["condition"], "PermanentError");
    assert_eq!(letter["requestContext"]["functionArn"], "inventory");
    let cause = letter["responseContext"]["functionError"].as_str().unwrap();
    assert!(cause.contains(r#"sku "B""#) && cause.contains("correct the item"), "{cause}");
    let mut given_up = batch[0].clone();
    given_up["topic"] = json!("order.validated");
    let listed = &letter["payload"]["records"]["order.validated-0"][0];
    for field in ["topic", "partition", "offset", "key", "value"] {
        assert_eq!(listed[field], given_up[field], "{field}");
    }

    // After a person has corrected the item, the order is accepted.
    harness.stock("B", 10).await;
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    assert_eq!(harness.available("B").await, "9");
    assert_eq!(harness.available("A").await, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_row_holds_up_only_its_own_order() {
    let harness = Harness::start().await;
    harness.unreadable_row("ord-1").await;
    let batch: Vec<Value> =
        (0..3).map(|it| record(it, &event(&format!("ord-{it}"), &[]))).collect();
    // Twice, so that it is looked up together with its neighbours.
    for _ in 0..2 {
        assert!(harness.deliver(&batch).await.unwrap().is_success());
    }
    let keys = harness.published(Topic::InventoryReserved, 4).into_iter().map(|it| it.key);
    assert_eq!(keys.filter(|key| key == "ord-1").count(), 0);
    let letters = harness.published_on(DEAD_LETTERS, 2);
    assert!(letters.iter().all(|letter| letter.key == "ord-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_dead_letter_cannot_be_published_is_delivered_again() {
    let harness = Harness::start().await.with_short_delivery_timeout();
    harness.broken_stock("B").await;
    let batch = [record(0, &event("ord-broken", &[("B", 1)]))];
    let outage = harness.broker.outage().unwrap();
    let response = serde_json::to_value(harness.deliver(&batch).await.unwrap()).unwrap();
    assert_eq!(response["batchItemFailures"][0]["itemIdentifier"]["offset"], 0, "{response}");
    drop(outage);
    harness.redeliver(&batch).await;
    assert_eq!(harness.published_on(DEAD_LETTERS, 1)[0].key, "ord-broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letter_of_a_large_record_has_its_position_alone() {
    let harness = Harness::start().await;
    harness.unreadable_row("ord-1").await;
    let mut large = event("ord-1", &[]);
    large["payload"]["note"] = "x".repeat(900_000).into();
    let mut records = [record(0, &large), record(1, &event("ord-1", &[]))];
    records[1]["key"] = BASE64_STANDARD.encode("k".repeat(900_000)).into();
    assert!(harness.deliver(&records).await.unwrap().is_success());
    let letters = harness.published_on(DEAD_LETTERS, 2);
    let listed = letters.iter().map(|letter| {
        let letter: Value = serde_json::from_str(&letter.body).unwrap();
        letter["payload"]["records"]["order.validated-0"][0].clone()
    });
    let listed: Vec<_> = listed.collect();
    for offset in [0, 1] {
        let position = json!({ "topic": "order.validated", "partition": 0, "offset": offset });
        assert!(listed.contains(&position), "{offset}: {letters:?}");
    }
}
