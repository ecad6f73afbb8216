//! The engine on an embedded database and broker, with a toy stage in place of a real one.
//!
//! What is asked here is the engine's guarantee; the rules of the real stages are tested beside
//! them, and the five functions together in `tests/workflow`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod bench;

use contracts::{EventType, Topic};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bench::{Bench, event, garbage, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_record_publishes_the_stored_event_again() {
    let bench = Bench::start().await;
    bench.stock("A", 10).await;
    let batch = [record(0, &event("ord-1", &[("A", 2)]))];
    assert!(bench.deliver(&batch).await.unwrap().is_success());
    assert!(bench.deliver(&batch).await.unwrap().is_success());

    let published = bench.published(Topic::InventoryReserved, 2);
    assert_eq!(published[0], published[1]);
    assert_eq!(published[0].key, "ord-1");
    assert_eq!(published[0].header("ce_id"), "ord-1/InventoryReserved");
    assert_eq!(bench.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deliveries_at_the_same_time_have_one_effect() {
    let bench = Bench::start().await;
    bench.stock("A", 10).await;
    let batch = [record(0, &event("ord-1", &[("A", 2)]))];
    let (one, other) = tokio::join!(bench.deliver(&batch), bench.deliver(&batch));
    assert!(one.unwrap().is_success() && other.unwrap().is_success());
    let published = bench.published(Topic::InventoryReserved, 2);
    assert_eq!(published[0].body, published[1].body);
    assert_eq!(bench.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_effect_rejects_the_order_for_good() {
    let bench = Bench::start().await;
    bench.stock("A", 1).await;
    let batch = [record(0, &event("ord-1", &[("A", 2), ("B", 1)]))];
    assert!(bench.deliver(&batch).await.unwrap().is_success());
    bench.stock("A", 100).await;
    assert!(bench.deliver(&batch).await.unwrap().is_success());

    let published = bench.published(Topic::OrderFailed, 2);
    assert_eq!(published[0], published[1]);
    let failed: Value = serde_json::from_str(&published[0].body).unwrap();
    assert_eq!(failed["eventType"], EventType::OrderInventoryFailed.name());
    assert_eq!(failed["payload"]["failureReason"], "OUT_OF_STOCK: A has 1; B has none");
    assert_eq!(failed["payload"]["originalPayload"]["items"][0]["sku"], "A");
    assert_eq!(bench.available("A").await, "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_with_other_content_changes_nothing() {
    let bench = Bench::start().await;
    bench.stock("A", 10).await;
    let first = record(0, &event("ord-1", &[("A", 2)]));
    let other = record(1, &event("ord-1", &[("A", 7)]));
    assert!(bench.deliver(&[first, other]).await.unwrap().is_success());
    let published = bench.published(Topic::InventoryReserved, 2);
    assert_eq!(published[0].body, published[1].body);
    assert_eq!(bench.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_reported_and_its_neighbours_go_on() {
    let bench = Bench::start().await;
    bench.stock("A", 10).await;
    let mut unexpected = event("ord-3", &[]);
    unexpected["eventType"] = "OrderCreated".into();
    let batch = [
        record(0, &event("ord-1", &[("A", 1)])),
        garbage(1, &json!("!!! no base64 !!!")),
        garbage(2, &json!("bm8ganNvbg==")),
        garbage(3, &Value::Null),
        record(4, &unexpected),
        record(5, &event("ord-2", &[("A", 1)])),
    ];
    assert!(bench.deliver(&batch).await.unwrap().is_success());
    assert!(bench.deliver(&batch).await.unwrap().is_success());

    assert_eq!(bench.available("A").await, "8");
    let mut reports: Vec<(i64, String, String)> = bench
        .published(Topic::OrderFailed, 8)
        .into_iter()
        .map(|report| {
            let body: Value = serde_json::from_str(&report.body).unwrap();
            let offset = body["payload"]["source"]["offset"].as_i64().unwrap();
            let reason = body["payload"]["failureReason"].as_str().unwrap().to_owned();
            (offset, report.key, reason)
        })
        .collect();
    reports.sort();
    reports.dedup();
    let code = |index: usize| reports[index].2.split(':').next().unwrap().to_owned();
    assert_eq!(reports.len(), 4, "{reports:?}");
    assert_eq!(reports[0].1, "order.validated-0-1");
    assert_eq!(code(0), "MALFORMED_EVENT");
    assert_eq!(code(2), "MALFORMED_EVENT");
    assert_eq!(reports[3].1, "ord-3");
    assert_eq!(code(3), "UNEXPECTED_EVENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_with_an_orders_id_does_not_take_its_place() {
    let bench = Bench::start().await;
    bench.stock("A", 10).await;
    let mut stray = event("ord-1", &[("A", 1)]);
    stray["timestamp"] = "yesterday".into();
    let batch = [record(0, &stray), record(1, &event("ord-1", &[("A", 1)]))];
    assert!(bench.deliver(&batch).await.unwrap().is_success());
    assert_eq!(bench.published(Topic::InventoryReserved, 1)[0].key, "ord-1");
    assert_eq!(bench.available("A").await, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fits_no_row_is_rejected_without_its_payload() {
    let bench = Bench::start().await;
    let mut large = event("ord-1", &[]);
    large["payload"]["note"] = "x".repeat(410 * 1024).into();
    assert!(bench.deliver(&[record(0, &large)]).await.unwrap().is_success());
    let failed: Value =
        serde_json::from_str(&bench.published(Topic::OrderFailed, 1)[0].body).unwrap();
    let reason = failed["payload"]["failureReason"].as_str().unwrap();
    assert!(reason.starts_with("EVENT_TOO_LARGE: "), "{reason}");
    assert_eq!(failed["payload"]["originalPayload"], Value::Null);
    assert_eq!(failed["payload"]["source"]["topic"], "order.validated");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_records_are_given_back_and_then_published_unchanged() {
    let bench = Bench::start().await;
    bench.stock("A", 10).await;
    let batch = [record(7, &event("ord-1", &[("A", 1)])), record(8, &event("ord-2", &[("A", 1)]))];
    bench.broker_down();
    let response = bench.deliver(&batch).await.unwrap();
    let response = serde_json::to_value(&response).unwrap();
    let given_back: Vec<&Value> =
        response["batchItemFailures"].as_array().unwrap().iter().collect();
    assert_eq!(given_back.len(), 2);
    assert_eq!(
        given_back[0]["itemIdentifier"],
        json!({ "partition": "order.validated-0", "offset": 7 })
    );
    let stored = bench.stored_event("ord-1").await;

    bench.broker_up();
    assert!(bench.deliver(&batch).await.unwrap().is_success());
    let published = bench.published(Topic::InventoryReserved, 2);
    assert!(published.iter().any(|event| event.body == stored));
    assert_eq!(bench.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_partial_responses_a_failure_fails_the_whole_batch() {
    let bench = Bench::start().await.without_partial_responses();
    bench.broker_down();
    let error = bench.deliver(&[record(0, &event("ord-1", &[]))]).await.unwrap_err();
    assert!(error.to_string().contains("does not read partial responses"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_another_topic_is_refused_and_says_where_to_look() {
    let bench = Bench::start().await;
    let mut stray = record(0, &event("ord-1", &[]));
    stray["topic"] = "order.shipped".into();
    let error = bench.deliver(&[stray]).await.unwrap_err();
    assert!(error.to_string().contains("order.shipped"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is delivered how often, in which batches and order: one effect for each order.
    #[test]
    fn any_redelivery_has_the_effect_of_one_delivery(
        batches in prop::collection::vec(prop::collection::vec(0_usize..5, 1..6), 1..6),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let bench = Bench::start().await;
            bench.stock("A", 1_000).await;
            let mut orders = std::collections::BTreeSet::new();
            let mut offset = 0;
            for batch in &batches {
                let records: Vec<Value> = batch
                    .iter()
                    .map(|order| {
                        orders.insert(order);
                        offset += 1;
                        record(offset, &event(&format!("ord-{order}"), &[("A", 10)]))
                    })
                    .collect();
                assert!(bench.deliver(&records).await.unwrap().is_success());
            }
            let left = 1_000 - 10 * orders.len();
            assert_eq!(bench.available("A").await, left.to_string());
            let deliveries = batches.iter().map(Vec::len).sum();
            let mut bodies: Vec<String> = bench
                .published(Topic::InventoryReserved, deliveries)
                .into_iter()
                .map(|event| event.body)
                .collect();
            bodies.sort();
            bodies.dedup();
            assert_eq!(bodies.len(), orders.len());
        });
    }
}
