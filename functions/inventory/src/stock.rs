//! Every statement on the stock table.
//!
//! `available + reserved` of a SKU never changes here, and `available` never falls below zero.

use aws_sdk_dynamodb::types::{AttributeValue, Update, builders::UpdateBuilder};
use contracts::{FailureCode, FailureReason};
use stage::{
    Effect, Retry,
    decision::{Item, Refusal},
};

/// The name of the stock table: keyed by `sku`, with the numbers `available` and `reserved`.
#[derive(Debug, Clone)]
pub(crate) struct StockTable(pub(crate) String);

impl StockTable {
    /// Takes a quantity out of what can be sold and holds it, if there is as much.
    pub(crate) fn hold(&self, sku: &str, quantity: u64) -> Result<Effect, Retry> {
        let change = self
            .update(sku, quantity)
            .update_expression(
                "SET available = available - :quantity, reserved = reserved + :quantity",
            )
            .condition_expression("available >= :quantity");
        let sku = sku.to_owned();
        Effect::new(change, Refusal::new(move |item| shortage(&sku, quantity, item)))
    }

    /// Gives a quantity that was held back to what can be sold.
    pub(crate) fn give_back(&self, sku: &str, quantity: u64) -> Result<Effect, Retry> {
        let change = self
            .update(sku, quantity)
            .update_expression(
                "SET available = available + :quantity, reserved = reserved - :quantity",
            )
            .condition_expression("reserved >= :quantity");
        let text = format!("{sku} holds less than {quantity}: correct the stock table");
        let refused = move |_: Option<&Item>| FailureReason::new(FailureCode::OutOfStock, &*text);
        Effect::new(change, Refusal::new(refused))
    }

    fn update(&self, sku: &str, quantity: u64) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.0)
            .key("sku", AttributeValue::S(sku.to_owned()))
            .expression_attribute_values(":quantity", AttributeValue::N(quantity.to_string()))
    }
}

fn shortage(sku: &str, wanted: u64, item: Option<&Item>) -> FailureReason {
    let Some(item) = item else {
        return FailureReason::new(FailureCode::UnknownSku, format!("{sku} is not sold here"));
    };
    let available = item.get("available").and_then(|value| value.as_n().ok());
    let available = available.map_or("0", String::as_str);
    FailureReason::new(
        FailureCode::OutOfStock,
        format!("{sku} wanted {wanted}, available {available}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_names_what_was_wanted_and_what_is_there() {
        let item = Item::from([("available".to_owned(), AttributeValue::N("2".to_owned()))]);
        assert_eq!(
            shortage("SKU-1", 3, Some(&item)).to_string(),
            "OUT_OF_STOCK: SKU-1 wanted 3, available 2"
        );
        assert_eq!(shortage("SKU-2", 3, None).to_string(), "UNKNOWN_SKU: SKU-2 is not sold here");
    }
}
