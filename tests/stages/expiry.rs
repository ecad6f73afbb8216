//! Rows that have expired, and rows that expire together.

use contracts::{EventType, StageName, Topic};
use engine::{Row, RowBody};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use workflow_tests::stages::{Record, Stages, set_clock_ahead};

use crate::stocked;

const MINUTES: SignedDuration = SignedDuration::from_mins(10);

fn created(timestamp: Timestamp) -> String {
    let event: Value = json!({
        "eventType": "OrderCreated", "orderId": "ord-1", "correlationId": "corr-1",
        "timestamp": timestamp.to_string(),
        "payload": {
            "customerId": "cust-1", "totalAmount": 1, "items": [{ "sku": "A", "quantity": 2 }],
        },
    });
    event.to_string()
}

fn body(row: &Row) -> String {
    match &row.body {
        RowBody::Event(event) => event.body.clone(),
        RowBody::Data(data) => data.clone(),
    }
}

async fn reserved(stages: &Stages) -> String {
    stages.items("StockTable", "sku").await["A"]["reserved"].as_n().unwrap().clone()
}

#[tokio::test]
async fn the_rows_of_an_order_expire_together_though_its_stages_are_late() {
    let stages = stocked().await;
    let first = (stages.context.clock)();
    assert!(stages.store(created(first).as_bytes()).await);
    let mut late = SignedDuration::ZERO;
    for stage in [StageName::Validator, StageName::Inventory, StageName::Payment] {
        late += MINUTES;
        set_clock_ahead(late);
        let rows = stages.rows("ord-1").await;
        let RowBody::Event(event) = &rows.values().next_back().unwrap().body else {
            panic!("an event");
        };
        let record = Record::of(event.body.clone());
        stages.deliver_to(stage, event.event_type.topic(), &[record]).await;
    }
    set_clock_ahead(late + MINUTES);
    stages.carry("ord-1").await;
    let rows = stages.rows("ord-1").await;
    let expiry = |stage| rows[&stage].expires_at;
    assert_eq!(expiry(StageName::Validator), stages.context.expires_at(first));
    // The reservation's expiry counts from the validation, and all later rows share it.
    let reservation = expiry(StageName::Inventory);
    let behind = reservation - expiry(StageName::Validator);
    assert!((600..1_200).contains(&behind), "{behind}");
    for (stage, row) in rows.range(StageName::Payment..) {
        assert_eq!(row.expires_at, reservation, "{stage}");
    }
}

#[tokio::test]
async fn an_event_of_an_old_archive_gets_a_row_that_outlives_its_redelivery() {
    let stages = stocked().await;
    let record = Record::of(created(Timestamp::UNIX_EPOCH));
    stages.deliver(Topic::OrderCreated, std::slice::from_ref(&record), 1).await;
    let expires_at = stages.rows("ord-1").await[&StageName::Validator].expires_at;
    let ttl = stages.context.row_ttl.as_secs();
    let left = expires_at - (stages.context.clock)().as_second();
    assert!((ttl - 60..=ttl).contains(&left), "{left}");
}

#[tokio::test]
async fn an_expired_row_is_not_read_and_gives_way_to_a_new_one() {
    let stages = stocked().await;
    assert!(stages.store(created((stages.context.clock)()).as_bytes()).await);
    stages.carry("ord-1").await;
    let first = stages.rows("ord-1").await;
    assert!(first.contains_key(&StageName::Close), "{:?}", first.keys());
    assert_eq!(reserved(&stages).await, "2");

    set_clock_ahead(stages.context.row_ttl + MINUTES);
    assert_eq!(stages.rows("ord-1").await.len(), 0);
    // No stored row confirms a late event.
    let late = body(&first[&StageName::Payment]);
    stages.deliver(Topic::PaymentCompleted, &[Record::of(late)], 1).await;
    assert_eq!(stages.rows("ord-1").await.len(), 0);
    // The same id is then a new order, whose rows replace the expired ones that DynamoDB has not
    // deleted yet.
    let again = Record::of(created((stages.context.clock)()));
    stages.deliver(Topic::OrderCreated, std::slice::from_ref(&again), 2).await;
    stages.carry("ord-1").await;
    let second = stages.rows("ord-1").await;
    let stages_of_second: Vec<_> = second.keys().copied().collect();
    let expected: Vec<_> = first.keys().copied().filter(|it| *it != StageName::OrderApi).collect();
    assert_eq!(stages_of_second, expected);
    for stage in expected {
        assert_ne!(body(&first[&stage]), body(&second[&stage]), "{stage}");
    }
    assert_eq!(reserved(&stages).await, "4");
    assert!(body(&second[&StageName::Notification]).contains(EventType::OrderCompleted.name()));
}
