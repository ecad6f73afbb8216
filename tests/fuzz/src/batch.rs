//! A hostile record in one batch with a good one, at each function that its topic triggers.
//!
//! The first byte selects the topic. What follows is the record's attributes, as the mapping sends
//! them, if it is a JSON object with a value; else it is the value.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{EventType, StageName, Topic, happy_path};
use engine::RowBody;
use serde_json::{Value, json};
use workflow_tests::stages::{Record, Stages};

use crate::stages::{RUNTIME, STAGES};

/// The time for one delivery.
const TIMEOUT: Duration = Duration::from_secs(20);

static ORDERS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn run(input: &[u8]) {
    let Some((selector, record)) = input.split_first() else { return };
    let topic = Topic::ALL.iter().cycle().nth(usize::from(*selector));
    let Some(topic) = topic else { return };
    RUNTIME.block_on(deliver(&STAGES, *topic, record));
}

async fn deliver(stages: &Stages, topic: Topic, hostile: &[u8]) {
    let number = ORDERS.fetch_add(1, Ordering::Relaxed);
    let good_id = format!("ord-good-{number}");
    for event_type in before(topic) {
        assert!(stages.store(good(event_type, &good_id).as_bytes()).await);
    }
    let good = good(event_type(topic), &good_id);
    assert!(stages.store(good.as_bytes()).await);
    stages.store(&value(hostile)).await;
    let records = [Record::of(value(hostile)), Record::of(good)];
    let mut event = stages.event(topic, &records);
    if let Some(attributes) = attributes(hostile) {
        event = with_attributes(&event, &attributes);
    }
    assert!(stages.try_handle(topic, &event, TIMEOUT).await, "a record of the batch fails");
    let rows = stages.rows(&good_id).await;
    for stage in StageName::ALL.iter().filter(|stage| decides(**stage, topic)) {
        let row = rows.get(stage);
        assert!(row.is_some(), "{stage} has not decided about the good order");
        let is_rejected = row.is_some_and(
            |row| matches!(&row.body, RowBody::Event(it) if it.event_type.is_failure()),
        );
        assert!(!is_rejected, "{stage} has rejected the good order");
    }
}

/// The stage decides about the good event of this topic.
fn decides(stage: StageName, topic: Topic) -> bool {
    stage.spec().is_for(event_type(topic))
}

fn event_type(topic: Topic) -> EventType {
    let own = EventType::ALL.iter().find(|event_type| event_type.topic() == topic);
    own.copied().unwrap_or(EventType::OrderCreated)
}

/// The events of a good order before its event on this topic.
fn before(topic: Topic) -> impl Iterator<Item = EventType> {
    let publisher = event_type(topic).published_by();
    let before = happy_path().filter(move |spec| spec.name < publisher);
    before.filter_map(|spec| Some(spec.publishes?.accepted))
}

fn good(event_type: EventType, order_id: &str) -> String {
    json!({
        "eventType": event_type.name(), "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z",
        "payload": {
            "customerId": "cust-1", "items": [{ "sku": "A", "quantity": 1 }], "totalAmount": 1,
        },
    })
    .to_string()
}

/// The attributes of the hostile record, if it has them.
fn attributes(hostile: &[u8]) -> Option<Value> {
    let attributes: Value = serde_json::from_slice(hostile).ok()?;
    attributes.get("value").is_some().then_some(attributes)
}

/// The bytes that the record has as its value, for the row that its publisher would have.
fn value(hostile: &[u8]) -> Vec<u8> {
    let Some(attributes) = attributes(hostile) else { return hostile.to_vec() };
    let encoded = attributes["value"].as_str();
    encoded.and_then(|encoded| BASE64_STANDARD.decode(encoded).ok()).unwrap_or_default()
}

/// The event with the attributes of its first record replaced, but for its position.
fn with_attributes(event: &str, attributes: &Value) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap_or_default();
    let partitions = event["records"].as_object_mut().into_iter().flat_map(|it| it.values_mut());
    for record in partitions.filter_map(|records| records.get_mut(0)) {
        let (partition, offset) = (record["partition"].take(), record["offset"].take());
        *record = attributes.clone();
        record["partition"] = partition;
        record["offset"] = offset;
    }
    event.to_string()
}
