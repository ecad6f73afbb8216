//! Attackers: other customers, other pages of the browser, and text that is not what it seems.
//!
//! `docs/faults.md` lists what other tests show of them, such as the table of forged events.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod customers;
mod injected_records;
mod injected_requests;
mod injection;
#[cfg(target_os = "linux")]
mod local_run;
mod page_tokens;
#[cfg(target_os = "linux")]
mod ports;
#[cfg(target_os = "linux")]
mod quoting_database;
#[cfg(target_os = "linux")]
mod secrets;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use workflow_tests::stages::Stages;

/// The customer whose orders are attacked, and the one who attacks.
const VICTIM: &str = "victim";
const MALLORY: &str = "mallory";

/// The stages, with stock of `SKU-1` and accounts of both customers.
async fn stages() -> Stages {
    let stages = Stages::start().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &str| AttributeValue::N(number.to_owned());
    let stock = [("sku", text("SKU-1")), ("available", number("1000")), ("reserved", number("0"))];
    stages.put("StockTable", &stock).await;
    for customer_id in [VICTIM, MALLORY] {
        let account = [("customerId", text(customer_id)), ("balance", number("1000"))];
        stages.put("AccountsTable", &account).await;
    }
    stages
}

fn order(customer_id: &str) -> Value {
    json!({
        "customerId": customer_id, "items": [{ "sku": "SKU-1", "quantity": 1 }], "totalAmount": 1,
    })
}
