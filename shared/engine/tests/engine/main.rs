//! The engine on an embedded database and broker, with a toy stage in place of a real one.
//!
//! The rules of the real stages are tested beside them, the functions together in
//! `tests/workflow`, each as a process in `tests/conformance`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod dead_letters;
mod early;
mod harness;
mod stored_event;

use contracts::{EventType, Topic};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Harness, event, raw_record, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_record_publishes_the_stored_event_again() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    let batch = [record(0, &event("ord-1", &[("A", 2)]))];
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    assert!(harness.deliver(&batch).await.unwrap().is_success());

    let published = harness.published(Topic::InventoryReserved, 2);
    assert_eq!(published[0], published[1]);
    assert_eq!(published[0].key, "ord-1");
    assert_eq!(published[0].header("ce_id"), "ord-1/InventoryReserved");
    assert_eq!(harness.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deliveries_at_the_same_time_have_one_effect() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    let batch = [record(0, &event("ord-1", &[("A", 2)]))];
    let (one, other) = tokio::join!(harness.deliver(&batch), harness.deliver(&batch));
    assert!(one.unwrap().is_success() && other.unwrap().is_success());
    let published = harness.published(Topic::InventoryReserved, 2);
    assert_eq!(published[0].body, published[1].body);
    assert_eq!(harness.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_effect_rejects_the_order_for_good() {
    let harness = Harness::start().await;
    harness.stock("A", 1).await;
    let batch = [record(0, &event("ord-1", &[("A", 2), ("B", 1)]))];
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    harness.stock("A", 100).await;
    assert!(harness.deliver(&batch).await.unwrap().is_success());

    let published = harness.published(Topic::OrderFailed, 2);
    assert_eq!(published[0], published[1]);
    let failed: Value = serde_json::from_str(&published[0].body).unwrap();
    assert_eq!(failed["eventType"], EventType::OrderInventoryFailed.name());
    assert_eq!(failed["payload"]["failureReason"], "OUT_OF_STOCK: A has 1; B has none");
    assert_eq!(failed["payload"]["originalPayload"]["items"][0]["sku"], "A");
    assert_eq!(harness.available("A").await, "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_with_other_content_changes_nothing() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    let first = record(0, &event("ord-1", &[("A", 2)]));
    let other = record(1, &event("ord-1", &[("A", 7)]));
    assert!(harness.deliver(&[first, other]).await.unwrap().is_success());
    assert_eq!(harness.published(Topic::InventoryReserved, 1)[0].key, "ord-1");
    assert_eq!(harness.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_record_is_reported_and_its_neighbours_go_on() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    let mut unexpected = event("ord-3", &[]);
    unexpected["eventType"] = "OrderCreated".into();
    let batch = [
        record(0, &event("ord-1", &[("A", 1)])),
        raw_record(1, &json!("!!! no base64 !!!")),
        raw_record(2, &json!("bm8ganNvbg==")),
        raw_record(3, &Value::Null),
        record(4, &unexpected),
        record(5, &event("ord-2", &[("A", 1)])),
    ];
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    assert!(harness.deliver(&batch).await.unwrap().is_success());

    assert_eq!(harness.available("A").await, "8");
    let mut reports: Vec<(i64, String, String)> = harness
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
async fn a_malformed_record_with_an_orders_id_takes_no_decision_of_it() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    let mut malformed = event("ord-1", &[("A", 1)]);
    malformed["timestamp"] = "yesterday".into();
    let batch = [record(0, &malformed), record(1, &event("ord-1", &[("A", 1)]))];
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    assert_eq!(harness.published(Topic::InventoryReserved, 1)[0].key, "ord-1");
    assert_eq!(harness.available("A").await, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fits_no_row_is_rejected_without_its_payload() {
    let harness = Harness::start().await;
    let mut large = event("ord-1", &[]);
    large["payload"]["note"] = "x".repeat(410 * 1024).into();
    assert!(harness.deliver(&[record(0, &large)]).await.unwrap().is_success());
    let failed: Value =
        serde_json::from_str(&harness.published(Topic::OrderFailed, 1)[0].body).unwrap();
    let reason = failed["payload"]["failureReason"].as_str().unwrap();
    assert!(reason.starts_with("EVENT_TOO_LARGE: "), "{reason}");
    assert_eq!(failed["payload"]["originalPayload"], Value::Null);
    assert_eq!(failed["payload"]["source"]["topic"], "order.validated");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_records_are_given_back_and_then_published_unchanged() {
    let harness = Harness::start().await.with_short_delivery_timeout();
    harness.stock("A", 10).await;
    let batch = [record(7, &event("ord-1", &[("A", 1)])), record(8, &event("ord-2", &[("A", 1)]))];
    let outage = harness.broker.outage().unwrap();
    let response = harness.deliver(&batch).await.unwrap();
    let response = serde_json::to_value(&response).unwrap();
    let given_back: Vec<&Value> =
        response["batchItemFailures"].as_array().unwrap().iter().collect();
    assert_eq!(given_back.len(), 2);
    assert_eq!(
        given_back[0]["itemIdentifier"],
        json!({ "partition": "order.validated-0", "offset": 7 })
    );
    let stored = harness.stored_event("ord-1").await;

    drop(outage);
    harness.redeliver(&batch).await;
    let published = harness.published(Topic::InventoryReserved, 2);
    let of_first: Vec<_> = published.iter().filter(|event| event.key == "ord-1").collect();
    assert!(!of_first.is_empty(), "{published:?}");
    assert!(of_first.iter().all(|event| event.body == stored), "{published:?}");
    assert_eq!(harness.available("A").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_partial_responses_a_failure_fails_the_whole_batch() {
    let harness = Harness::start().await.with_short_delivery_timeout().without_partial_responses();
    let _outage = harness.broker.outage().unwrap();
    let error = harness.deliver(&[record(0, &event("ord-1", &[]))]).await.unwrap_err();
    assert!(error.to_string().contains("does not read partial responses"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_another_topic_is_refused_and_says_where_to_look() {
    let harness = Harness::start().await;
    let records = [record(0, &event("ord-1", &[]))];
    let error = harness.deliver_from("order.shipped-0", &records).await.unwrap_err();
    assert!(error.to_string().contains("order.shipped"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_with_a_topic_prefix_reads_and_publishes_on_its_own_topics_only() {
    let harness = Harness::start().await.with_topic_prefix("staging.");
    harness.stock("A", 10).await;
    let records = [record(0, &event("ord-1", &[("A", 1)])), record(1, &json!("no event"))];
    let response = harness.deliver_from("staging.order.validated-0", &records).await.unwrap();
    assert!(response.is_success());
    assert_eq!(harness.published_on("staging.order.inventory-reserved", 1)[0].key, "ord-1");
    let report = &harness.published_on("staging.order.failed", 1)[0].body;
    let report: Value = serde_json::from_str(report).unwrap();
    assert_eq!(report["payload"]["source"]["topic"], "order.validated");
    for foreign in ["order.validated-0", "production.order.validated-0"] {
        let error = harness.deliver_from(foreign, &records).await.unwrap_err();
        assert!(error.to_string().contains("no stage of this function consumes topic"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_sells_the_last_unit_and_refuses_only_those_who_could_not_be_served_alone() {
    let harness = Harness::start().await;
    harness.stock("A", 10).await;
    harness.stock("B", 100).await;
    // In order: 4 fit, 4 fit, 4 do not, 2 take the rest; 20 exceed the whole stock.
    let wanted = [("ord-0", 4), ("ord-1", 4), ("ord-2", 4), ("ord-3", 2), ("ord-4", 20)];
    let mut batch: Vec<Value> = wanted
        .iter()
        .zip(0..)
        .map(|((order, quantity), offset)| record(offset, &event(order, &[("A", *quantity)])))
        .collect();
    batch.extend((5..60).map(|it| record(it, &event(&format!("ord-{it}"), &[("B", 1)]))));
    assert!(harness.deliver(&batch).await.unwrap().is_success());
    assert_eq!(harness.available("A").await, "0");
    assert_eq!(harness.available("B").await, "45");
    let mut refused: Vec<_> = harness
        .published(Topic::OrderFailed, 2)
        .into_iter()
        .map(|event| {
            let body: Value = serde_json::from_str(&event.body).unwrap();
            (event.key, body["payload"]["failureReason"].as_str().unwrap().to_owned())
        })
        .collect();
    refused.sort();
    assert_eq!(refused[0], ("ord-2".to_owned(), "OUT_OF_STOCK: A has 0".to_owned()));
    assert_eq!(refused[1].0, "ord-4");
    assert_eq!(harness.published(Topic::InventoryReserved, 58).len(), 58);
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_groups_have_each_effect_once() {
    let harness = Harness::start().await;
    harness.stock("A", 1_000).await;
    let batch = |from: i64| -> Vec<Value> {
        (from..from + 60).map(|it| record(it, &event(&format!("ord-{it}"), &[("A", 1)]))).collect()
    };
    let (first, second) = (batch(0), batch(30));
    let (one, other) = tokio::join!(harness.deliver(&first), harness.deliver(&second));
    assert!(one.unwrap().is_success() && other.unwrap().is_success());
    assert_eq!(harness.available("A").await, "910");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_requests_is_settled() {
    let harness = Harness::start().await;
    harness.stock("A", 10_000).await;
    let batch: Vec<Value> = (0..1_500)
        .map(|it| {
            let items: &[_] = if it % 2 == 0 { &[("A", 1)] } else { &[] };
            record(it, &event(&format!("ord-{it}"), items))
        })
        .collect();
    for _ in 0..2 {
        assert!(harness.deliver(&batch).await.unwrap().is_success());
    }
    assert_eq!(harness.available("A").await, "9250");
    assert_eq!(harness.published(Topic::InventoryReserved, 3_000).len(), 3_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Each order has one effect, whatever the batches, their order and their number.
    #[test]
    fn any_redelivery_has_the_effect_of_one_delivery(
        batches in prop::collection::vec(prop::collection::vec(0_usize..5, 1..6), 1..6),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let harness = Harness::start().await;
            harness.stock("A", 1_000).await;
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
                assert!(harness.deliver(&records).await.unwrap().is_success());
            }
            let left = 1_000 - 10 * orders.len();
            assert_eq!(harness.available("A").await, left.to_string());
            // A batch publishes the event of each of its orders once.
            let distinct = |batch: &Vec<usize>| {
                batch.iter().collect::<std::collections::BTreeSet<_>>().len()
            };
            let count = batches.iter().map(distinct).sum();
            let mut bodies: Vec<String> = harness
                .published(Topic::InventoryReserved, count)
                .into_iter()
                .map(|event| event.body)
                .collect();
            bodies.sort();
            bodies.dedup();
            assert_eq!(bodies.len(), orders.len());
        });
    }
}
