//! Races between processes of the functions, on a database with DynamoDB's conflicts and limits.
//!
//! Each function has several processes. Two transactions on one item conflict, as in DynamoDB; the
//! embedded database alone would execute them one after the other.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its counts"
)]

mod copies;
mod course;
mod money;
mod recovery;
mod stock;

use std::collections::BTreeMap;

use faults::item_limit::{limited_items::Items, written_items::TableKeys};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use workflow_tests::{
    events::until,
    rows,
    world::{World, WorldOptions},
};

/// Processes of each function.
const PROCESSES: usize = 3;
/// Requests at a time.
const CLIENTS: usize = 32;

/// A world with several processes, and the limits of every item.
async fn world() -> (World, Items) {
    let options = WorldOptions { processes: Some(PROCESSES), ..WorldOptions::default() };
    let world = World::start_as(&options).await;
    let keys = [
        ("OrdersTable", vec!["orderId", "stage"]),
        ("StockTable", vec!["sku"]),
        ("AccountsTable", vec!["customerId"]),
    ];
    let keys = keys.into_iter().map(|(table, names)| {
        let names = names.into_iter().map(str::to_owned).collect();
        (world.stack.table(table), names)
    });
    let items = world.database.limit_items(TableKeys(keys.collect()));
    (world, items)
}

fn order(customer: &str, sku: &str, quantity: u32, amount: u32) -> Value {
    json!({
        "customerId": customer,
        "items": [{ "sku": sku, "quantity": quantity }],
        "totalAmount": amount,
    })
}

/// Posts orders that must be accepted; returns their ids in the same order.
async fn accepted(world: &World, orders: &[Value]) -> Vec<String> {
    let posted = orders.iter().map(|order| world.accepted(order));
    stream::iter(posted).buffered(CLIENTS).collect().await
}

/// Waits until all orders have ended; returns what is stored of the end of each.
async fn ended(world: &World, ids: &[String]) -> BTreeMap<String, Value> {
    let mut closed = BTreeMap::new();
    until("the end of all orders", async || {
        closed = rows::closed(world).await;
        ids.iter().all(|id| closed.contains_key(id))
    })
    .await;
    closed.retain(|id, _| ids.contains(id));
    closed
}

/// True for an order that is completed. Any other must have failed for this reason.
fn is_completed(id: &str, end: &Value, code: &str) -> bool {
    let is_completed = end["status"] == "COMPLETED";
    let reason = end["failureReason"].as_str().unwrap_or_default();
    assert!(is_completed || reason.starts_with(code), "{id}: {end}");
    is_completed
}
