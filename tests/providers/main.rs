//! The workflow with real providers in the place of wallet and log, where only their servers are
//! not the real ones:
//!
//! ```text
//! tests/real-providers cargo test -p workflow-tests --features real-providers --test providers
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be, and tells its figures"
)]

mod refund;
mod sns;
mod stripe;

use std::{env, time::Duration};

use serde_json::{Value, json};
use workflow_tests::world::World;

/// What `tests/real-providers` says of its servers.
fn server(name: &str) -> String {
    env::var(name).expect("tests/real-providers runs this test")
}

/// An order of one piece.
fn order(customer_id: &str, amount: &str) -> Value {
    let amount: serde_json::Number = serde_json::from_str(amount).unwrap();
    json!({
        "customerId": customer_id,
        "items": [{ "sku": "SKU-1", "quantity": 1 }],
        "totalAmount": amount,
    })
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect(what);
}

/// Posts these orders; gives their ids.
async fn accepted(world: &World, orders: impl Iterator<Item = Value>) -> Vec<String> {
    let mut ids = Vec::new();
    for order in orders {
        ids.push(world.accepted(&order).await);
    }
    ids
}
