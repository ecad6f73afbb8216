//! Tests of the whole workflow: every function, a broker and a database.
//!
//! One binary, so that the stack is linked once. Runs on embedded servers, or on those that
//! `KAFKA_BOOTSTRAP_SERVERS` and `AWS_ENDPOINT_URL_DYNAMODB` name.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod addresses;
mod backlog;
mod callers;
mod cancel;
mod compensation;
mod consumer_process;
mod consumers;
mod cost;
mod damaged;
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

use contracts::{EventType, happy_path};
use serde_json::{Value, json};
use workflow_tests::world::{World, WorldOptions};

/// A world with stock and an account.
async fn world() -> World {
    world_with(&[]).await
}

/// Like [`world`], with additional environment variables of the functions.
async fn world_with(function_env: &[(&str, &str)]) -> World {
    world_as(&WorldOptions { function_env, ..WorldOptions::default() }).await
}

/// Like [`world`], with these options.
async fn world_as(options: &WorldOptions<'_>) -> World {
    let world = World::start_as(options).await;
    world.stock("SKU-1", 100).await;
    world.account("cust-1", "1000").await;
    world
}

/// An order that completes.
fn order() -> Value {
    json!({
        "customerId": "cust-1",
        "items": [{ "sku": "SKU-1", "quantity": 2 }],
        "totalAmount": 12.5,
    })
}

/// Waits for this many `OrderCompleted` events and all earlier events; returns the order's events.
///
/// Waits for each type, because topics are read independently: the last event may arrive first.
async fn journey(world: &mut World, order_id: &str, completed: usize) -> Vec<(EventType, String)> {
    for event_type in happy_events() {
        world.until_event(order_id, event_type, 1).await;
    }
    world.until_event(order_id, EventType::OrderCompleted, completed).await
}

/// The distinct types of events. Checks that duplicates of a type have the same bytes.
fn distinct(events: &[(EventType, String)]) -> Vec<EventType> {
    let mut events = events.to_vec();
    events.dedup();
    let types: Vec<EventType> = events.iter().map(|(event_type, _)| *event_type).collect();
    let mut once = types.clone();
    once.dedup();
    assert_eq!(once, types, "an event was published with different contents");
    types
}

/// The events of an order that completes, in their order.
fn happy_events() -> Vec<EventType> {
    happy_path().filter_map(|spec| Some(spec.publishes?.accepted)).collect()
}
