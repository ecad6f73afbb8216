//! The workflow with the providers Stripe and SNS, on local servers that emulate them:
//!
//! ```text
//! scripts/with-real-providers cargo test --workspace --features workflow-tests/real-providers --test providers
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its figures"
)]

mod refund;
mod sns;
mod stripe;

use std::{env, time::Duration};

use serde_json::{Value, json};
use workflow_tests::world::World;

/// The address of a server that `scripts/with-real-providers` has started.
fn server(name: &str) -> String {
    env::var(name).expect("scripts/with-real-providers runs this test")
}

fn order(customer_id: &str, amount: &str) -> Value {
    let amount: serde_json::Number = serde_json::from_str(amount).unwrap();
    json!({
        "customerId": customer_id,
        "items": [{ "sku": "SKU-1", "quantity": 1 }],
        "totalAmount": amount,
    })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect(what);
}

/// Posts these orders; returns their ids.
async fn accepted(world: &World, orders: impl Iterator<Item = Value>) -> Vec<String> {
    let mut ids = Vec::new();
    for order in orders {
        ids.push(world.accepted(&order).await);
    }
    ids
}
