//! The workflow as a whole: five real functions, a broker and a database.
//!
//! One binary, so that the stack is linked once. Runs on embedded servers, or on those that
//! `KAFKA_BOOTSTRAP_SERVERS` and `AWS_ENDPOINT_URL_DYNAMODB` name.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod addresses;
mod callers;
mod cancel;
mod compensation;
mod consumer_process;
mod consumers;
mod cost;
mod ends;
mod event_files;
mod faults;
mod foreign_records;
mod headers;
mod intake;
mod journey;
mod kills;
mod reading;
mod waits;

use contracts::EventType;
use serde_json::{Value, json};
use workflow_tests::world::{World, WorldOptions};

/// A world with something to sell and somebody to buy it.
async fn world() -> World {
    world_with(&[]).await
}

/// The same, with further environment variables of the functions.
async fn world_with(function_env: &[(&str, &str)]) -> World {
    world_as(&WorldOptions { function_env, ..WorldOptions::default() }).await
}

/// The same, with these differences from the template.
async fn world_as(options: &WorldOptions<'_>) -> World {
    let world = World::start_as(options).await;
    world.stock("SKU-1", 100).await;
    world.account("cust-1", "1000").await;
    world
}

/// An order that goes through.
fn order() -> Value {
    json!({
        "customerId": "cust-1",
        "items": [{ "sku": "SKU-1", "quantity": 2 }],
        "totalAmount": 12.5,
    })
}

/// The events of an order that has come to a good end, once its last one was seen this often.
///
/// Waits for each event by itself: topics are read independently of one another, so the last event
/// may be seen before the ones that led to it.
async fn journey(world: &mut World, order_id: &str, completed: usize) -> Vec<(EventType, String)> {
    for event_type in JOURNEY {
        world.until_event(order_id, event_type, 1).await;
    }
    world.until_event(order_id, EventType::OrderCompleted, completed).await
}

/// The types of events, each once, with a check that repeats of one type are the same bytes.
fn distinct(events: &[(EventType, String)]) -> Vec<EventType> {
    let mut events = events.to_vec();
    events.dedup();
    let types: Vec<EventType> = events.iter().map(|(event_type, _)| *event_type).collect();
    let mut once = types.clone();
    once.dedup();
    assert_eq!(once, types, "an event was published with two contents");
    types
}

const JOURNEY: [EventType; 5] = [
    EventType::OrderCreated,
    EventType::OrderValidated,
    EventType::InventoryReserved,
    EventType::PaymentCompleted,
    EventType::OrderCompleted,
];
