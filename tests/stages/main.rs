//! The stages without their processes: forged events, broken items, expired rows, logs, recovery.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod content;
mod event_order;
mod expiry;
mod held_up;
mod logs;
mod recovery;

use aws_sdk_dynamodb::types::AttributeValue;
use workflow_tests::stages::Stages;

/// The stages, with ten units of SKU `A` and a balance of 100 for `cust-1`.
async fn stocked() -> Stages {
    let stages = Stages::start().await;
    let number = |number: i64| AttributeValue::N(number.to_string());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let stock = [("sku", text("A")), ("available", number(10)), ("reserved", number(0))];
    stages.put("StockTable", &stock).await;
    let account = [("customerId", text("cust-1")), ("balance", number(100))];
    stages.put("AccountsTable", &account).await;
    stages
}
