//! The stages and the HTTP API in this process, on embedded servers, started at the first input.

use std::sync::LazyLock;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::runtime::{Builder, Runtime};
use workflow_tests::stages::Stages;

/// One thread, so that an input takes the same way each time.
#[expect(clippy::expect_used, reason = "a machine without threads fuzzes nothing")]
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

pub(crate) fn start() {
    LazyLock::force(&STAGES);
}

pub(crate) static STAGES: LazyLock<Stages> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let stages = Stages::start().await;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |number: &str| AttributeValue::N(number.to_owned());
        let plenty = "1000000000000";
        let stock = [("sku", text("A")), ("available", number(plenty)), ("reserved", number("0"))];
        stages.put("StockTable", &stock).await;
        let account = [("customerId", text("cust-1")), ("balance", number(plenty))];
        stages.put("AccountsTable", &account).await;
        stages
    })
});
