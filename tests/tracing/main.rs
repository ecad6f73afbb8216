//! Traces of the whole workflow: its real processes, and a collector of OTLP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod collector;
mod outages;
mod spans;

use serde_json::{Value, json};
use workflow_tests::world::World;

use crate::collector::{Behaviour, Collector};

/// The switch, as OpenTelemetry names it.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// A world with stock and an account, whose functions have these variables.
async fn world(function_env: &[(&str, &str)]) -> World {
    let world = World::start_with(function_env).await;
    world.stock("SKU-1", 1_000).await;
    world.account("cust-1", "1000").await;
    world
}

/// A world that exports to a collector of this behaviour.
async fn traced_world(behaviour: Behaviour) -> (World, Collector) {
    let collector = Collector::start(behaviour).await;
    (world(&[(ENDPOINT, &collector.url)]).await, collector)
}

/// An order that completes.
fn order() -> Value {
    json!({
        "customerId": "cust-1",
        "items": [{ "sku": "SKU-1", "quantity": 1 }],
        "totalAmount": 1.5,
    })
}

/// Posts an order with these headers, which must be accepted; returns its id.
async fn post(world: &World, headers: &[(&str, &str)], order: &Value) -> String {
    let response = world.request("POST", "/orders", headers, order.to_string()).await;
    assert_eq!(response.status().as_u16(), 202);
    let body: Value = response.json().await.unwrap();
    body["orderId"].as_str().unwrap().to_owned()
}
