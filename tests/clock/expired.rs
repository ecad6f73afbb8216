//! Rows that expire while an event of their order is on its topic.

use std::time::Duration;

use contracts::{StageName, Topic};
use engine::RowBody;
use jiff::SignedDuration;
use tokio::time::timeout;
use workflow_tests::stages::{Record, Stages, set_clock_ahead};

use crate::{HOUR, OFFSETS, books, event, stages};

/// Delivers the stored events of an order until this stage has decided.
async fn bring_to(stages: &Stages, order_id: &str, last: StageName) {
    while !stages.rows(order_id).await.contains_key(&last) {
        let rows = stages.rows(order_id).await;
        let RowBody::Event(event) = &rows.values().next_back().unwrap().body else {
            panic!("an event");
        };
        let topic = event.event_type.topic();
        stages.deliver(topic, &[Record::of(event.body.clone())], 1).await;
    }
}

fn stored_event(stages: &Stages, order_id: &str) -> String {
    let now = format!("{:.3}", (stages.context.clock)());
    event("OrderCreated", order_id, &now, "rich")
}

/// The event that a stage of an order has stored.
async fn stored(stages: &Stages, order_id: &str, stage: StageName) -> (Topic, Record) {
    let RowBody::Event(event) = &stages.rows(order_id).await[&stage].body else {
        panic!("an event");
    };
    (event.event_type.topic(), Record::of(event.body.clone()))
}

#[tokio::test]
async fn an_event_that_outlives_its_rows_moves_no_money_and_ends_no_order() {
    use StageName::{Inventory, Notification, OrderApi, Payment, Validator};
    let stages = stages().await;
    let mut late = Vec::new();
    for last in [Inventory, Payment, Notification] {
        let order_id = format!("ord-{last}");
        assert!(stages.store(stored_event(&stages, &order_id).as_bytes()).await);
        bring_to(&stages, &order_id, last).await;
        late.push((order_id.clone(), stored(&stages, &order_id, last).await));
    }
    let mut first_events = Vec::new();
    for stage in [OrderApi, Validator] {
        first_events.push(stored(&stages, &late[0].0, stage).await);
    }
    let before = books(&stages).await;
    assert_eq!(before, [3, 3, 2]);
    // On a clock that is an hour behind when it expires, it is still there: then it goes on.
    let edge = stages.context.row_ttl - HOUR - SignedDuration::from_mins(10);
    for ahead in [edge, edge - HOUR] {
        set_clock_ahead(ahead);
        for (order_id, _) in &late {
            assert!(!stages.rows(order_id).await.is_empty(), "{order_id} at {ahead:#}");
        }
    }
    let mut tap = stages.tap().await;
    for jump in OFFSETS.into_iter().skip(1) {
        set_clock_ahead(stages.context.row_ttl + HOUR + jump);
        for (order_id, (topic, record)) in &late {
            stages.deliver(*topic, std::slice::from_ref(record), 2).await;
            assert!(stages.rows(order_id).await.is_empty(), "{order_id} has a new row");
        }
    }
    assert_eq!(books(&stages).await, before);
    // The next event of the validator follows every effect of the late ones.
    let created = Record::of(stored_event(&stages, "ord-next"));
    assert!(stages.store(&created.value).await);
    stages.deliver(Topic::OrderCreated, &[created], 1).await;
    let first = timeout(Duration::from_secs(60), tap.next()).await;
    let first = first.expect("the validator's event").unwrap();
    assert_eq!(first.topic, stored(&stages, "ord-next", Validator).await.0.name());
    assert_eq!(stages.rows("ord-next").await.len(), [OrderApi, Validator].len());
    // The validator and the inventory need no earlier row: they decide anew.
    for (topic, record) in &first_events {
        stages.deliver(*topic, std::slice::from_ref(record), 2).await;
    }
    let decided: Vec<_> = stages.rows(&late[0].0).await.into_keys().collect();
    assert_eq!(decided, [Validator, Inventory]);
    let [reserved, missing, paid] = before;
    assert_eq!(books(&stages).await, [reserved + 1, missing + 1, paid]);
}

#[tokio::test]
async fn rows_of_a_fast_clock_are_there_for_a_slow_one_and_the_other_way_round() {
    let stages = stages().await;
    for (number, pair) in [(0, [0, 2]), (1, [2, 0])] {
        let order_id = format!("ord-{number}");
        let [writer, reader] = pair.map(|index| OFFSETS[index]);
        set_clock_ahead(writer);
        assert!(stages.store(stored_event(&stages, &order_id).as_bytes()).await);
        bring_to(&stages, &order_id, StageName::Inventory).await;
        set_clock_ahead(reader);
        bring_to(&stages, &order_id, StageName::Notification).await;
        stages.carry(&order_id).await;
        assert!(stages.rows(&order_id).await.contains_key(&StageName::Close), "{order_id}");
    }
    set_clock_ahead(SignedDuration::ZERO);
    assert_eq!(books(&stages).await, [2; 3]);
}
