//! Clocks that jump: every function has its own, and none of them decides twice because of it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod age_limit;
mod expired;
mod jumps;
mod keys;
#[cfg(target_os = "linux")]
mod processes;
mod published;
mod recovery;
mod timeline;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use serde_json::{Value, json};
use workflow_tests::stages::Stages;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// By how much a clock is ahead at a step.
const OFFSETS: [SignedDuration; 3] =
    [SignedDuration::from_hours(-1), SignedDuration::ZERO, SignedDuration::from_hours(1)];

/// The units of `SKU-1`, and the balance of `rich`; `poor` has nothing.
const PLENTY: i64 = 1_000_000;

/// The stages, with stock and accounts.
async fn stages() -> Stages {
    let stages = Stages::start().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let stock = [("sku", text("SKU-1")), ("available", number(PLENTY)), ("reserved", number(0))];
    stages.put("StockTable", &stock).await;
    for (customer_id, balance) in [("rich", PLENTY), ("poor", 0)] {
        let account = [("customerId", text(customer_id)), ("balance", number(balance))];
        stages.put("AccountsTable", &account).await;
    }
    stages
}

/// An order for one unit at an amount of 1.
fn order(customer_id: &str) -> Value {
    json!({
        "customerId": customer_id, "items": [{ "sku": "SKU-1", "quantity": 1 }], "totalAmount": 1,
    })
}

/// The event of an order as the API stores it.
fn event(event_type: &str, order_id: &str, timestamp: &str, customer_id: &str) -> String {
    json!({
        "eventType": event_type, "orderId": order_id, "correlationId": "corr-1",
        "timestamp": timestamp, "payload": order(customer_id),
    })
    .to_string()
}

/// Units reserved and missing from `available`, and the money taken from `rich`.
async fn books(stages: &Stages) -> [i64; 3] {
    let stock = &stages.items("StockTable", "sku").await["SKU-1"];
    let accounts = stages.items("AccountsTable", "customerId").await;
    let number = |value: &AttributeValue| -> i64 { value.as_n().unwrap().parse().unwrap() };
    assert_eq!(number(&accounts["poor"]["balance"]), 0);
    [
        number(&stock["reserved"]),
        PLENTY - number(&stock["available"]),
        PLENTY - number(&accounts["rich"]["balance"]),
    ]
}
