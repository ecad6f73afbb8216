//! The stages themselves, without their processes: what no event, item or failure may do to them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod captured;
mod content;
mod event_order;
mod expiry;
mod held_up;
mod logs;

use aws_sdk_dynamodb::types::AttributeValue;
use workflow_tests::stages::Stages;

/// The stages, with ten pieces of SKU `A` and 100 on the account of `cust-1`.
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
