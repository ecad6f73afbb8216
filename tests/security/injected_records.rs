//! Hostile text in every part of a record, as another producer may write it.

use std::time::Duration;

use contracts::{EventType, Topic};
use serde_json::{Value, json};
use tokio::time::timeout;
use workflow_tests::{captured::Captured, stages::Record};

use crate::{
    MALLORY,
    injection::{MARK, assert_plain_log, hostile_texts, is_one_line},
    order, stages,
};

fn event(event_type: EventType, order_id: &str) -> Value {
    json!({
        "eventType": event_type.name(), "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z", "payload": order(MALLORY),
    })
}

/// Records of a topic with this text in each of their parts in turn.
fn records(event_type: EventType, text: &str, number: usize) -> Vec<Record> {
    let order_id = |part: &str| format!("ord-{number}-{event_type}-{part}");
    let mut records = Vec::new();
    for field in ["eventType", "orderId", "correlationId", "timestamp", "payload", text] {
        let mut event = event(event_type, &order_id("field"));
        event[field] = text.into();
        records.push(Record::of(event.to_string()));
    }
    for field in ["customerId", "items", "totalAmount", "failureReason", "source", "stage", text] {
        let mut event = event(event_type, &order_id(field));
        event["payload"][field] = text.into();
        records.push(Record::of(event.to_string()));
    }
    let mut sku = event(event_type, &order_id("sku"));
    sku["payload"]["items"][0]["sku"] = text.into();
    records.push(Record::of(sku.to_string()));
    records.push(Record::of(text));
    let good = event(event_type, &order_id("header")).to_string();
    let bytes = text.as_bytes().to_vec();
    for name in ["traceparent", "tracestate", "ce_id", text] {
        let headers = vec![(name.to_owned(), bytes.clone())];
        records.push(Record { headers, ..Record::of(good.clone()) });
    }
    records.push(Record { key: Some(bytes), ..Record::of("no event") });
    records
}

#[tokio::test]
async fn no_text_of_a_record_adds_a_header_or_a_line_anywhere() {
    let stages = stages().await;
    let mut tap = stages.tap().await;
    let (log, logging) = Captured::start("trace");
    let mut delivered = 0;
    for (number, text) in hostile_texts().iter().enumerate() {
        for event_type in EventType::ALL {
            let records = records(*event_type, text, number);
            for record in &records {
                stages.store(&record.value).await;
            }
            stages.deliver(event_type.topic(), &records, 1).await;
            delivered += records.len();
        }
    }
    // Follows everything else that is published.
    let last = Record::of(event(EventType::OrderCreated, "ord-last").to_string());
    stages.deliver(Topic::OrderCreated, &[last], 1).await;
    drop(logging);
    assert_plain_log(&log);
    println!("{delivered} records");
    loop {
        let record = timeout(Duration::from_secs(30), tap.next()).await.unwrap().unwrap();
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        assert!(is_one_line(&key), "{key:?}");
        for (name, value) in &record.headers {
            let value = String::from_utf8(value.clone().unwrap()).unwrap();
            assert!(!name.contains(MARK) && is_one_line(&value), "{name}: {value:?}");
        }
        if key == "ord-last" {
            break;
        }
    }
}
