//! The typed view of an order's payload: who ordered what, for how much.
//!
//! A view reads and never changes the payload. What it cannot read comes back as sentences that
//! tell the sender what to put right.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::Value;

use crate::{JsonObject, Money};

/// The longest customer id or SKU in bytes; both are keys of tables (at most 2,048 bytes there).
pub const MAX_KEY_BYTES: usize = 256;

/// The largest quantity of one line.
pub const MAX_QUANTITY: u64 = 1_000_000_000;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What is ordered.
    pub sku: String,
    /// How many, at least 1.
    pub quantity: u64,
}

/// Reads `customerId`.
///
/// # Errors
/// What is wrong with it.
pub fn customer_id(payload: &JsonObject) -> Result<&str, String> {
    key_text(payload, "customerId", "customerId")
}

/// Reads `items`.
///
/// # Errors
/// Everything that is wrong with any line.
pub fn items(payload: &JsonObject) -> Result<Vec<Item>, Vec<String>> {
    let Some(lines) = payload.get("items") else {
        return Err(vec!["missing items".to_owned()]);
    };
    let Some(lines) = lines.as_array().filter(|lines| !lines.is_empty()) else {
        return Err(vec!["items must be a list of at least one item".to_owned()]);
    };
    let (mut items, mut faults) = (Vec::with_capacity(lines.len()), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        match item(line, index) {
            Ok(item) => items.push(item),
            Err(wrong) => faults.extend(wrong),
        }
    }
    if faults.is_empty() { Ok(items) } else { Err(faults) }
}

fn item(line: &Value, index: usize) -> Result<Item, Vec<String>> {
    let Some(line) = line.as_object() else {
        return Err(vec![format!("items[{index}] must be an object with sku and quantity")]);
    };
    let sku = key_text(line, "sku", &format!("items[{index}].sku"));
    let quantity = line.get("quantity").and_then(whole_number).ok_or_else(|| {
        format!("items[{index}].quantity must be a whole number from 1 to {MAX_QUANTITY}")
    });
    match (sku, quantity) {
        (Ok(sku), Ok(quantity)) => Ok(Item { sku: sku.to_owned(), quantity }),
        (sku, quantity) => Err([sku.err(), quantity.err()].into_iter().flatten().collect()),
    }
}

/// Reads `totalAmount`.
///
/// # Errors
/// What is wrong with it.
pub fn total_amount(payload: &JsonObject) -> Result<Money, String> {
    match payload.get("totalAmount") {
        None => Err("missing totalAmount".to_owned()),
        Some(Value::Number(number)) => Money::from_number(number)
            .ok_or_else(|| "totalAmount must have at most 28 digits".to_owned()),
        Some(_) => Err("totalAmount must be a number".to_owned()),
    }
}

/// The quantity of each SKU: lines of one SKU are added up, in the order of the SKUs.
#[must_use]
pub fn quantity_by_sku(items: &[Item]) -> BTreeMap<&str, u64> {
    let mut quantities = BTreeMap::new();
    for item in items {
        let quantity: &mut u64 = quantities.entry(item.sku.as_str()).or_default();
        *quantity = quantity.saturating_add(item.quantity);
    }
    quantities
}

/// Reads a text that has to fit a table's key; `name` is how the sender knows it.
fn key_text<'a>(object: &'a JsonObject, field: &str, name: &str) -> Result<&'a str, String> {
    match object.get(field) {
        None => Err(format!("missing {name}")),
        Some(Value::String(text)) if text.trim().is_empty() => {
            Err(format!("{name} must not be empty"))
        }
        Some(Value::String(text)) if text.len() > MAX_KEY_BYTES => {
            Err(format!("{name} must have at most {MAX_KEY_BYTES} bytes"))
        }
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{name} must be text")),
    }
}

/// A quantity by its value, so that `2`, `2.0` and `2e0` are the same.
fn whole_number(value: &Value) -> Option<u64> {
    let text = value.as_number()?.as_str();
    let decimal = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()?;
    let whole = decimal.is_integer().then(|| decimal.to_u64()).flatten()?;
    (1..=MAX_QUANTITY).contains(&whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(value: &Value) -> JsonObject {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn every_fault_of_every_line_is_named() {
        let order = payload(&json!({ "items": [
            { "sku": "A", "quantity": 1 },
            { "sku": 7, "quantity": 0 },
            "B",
            { "quantity": 1.5 },
            { "sku": " ", "quantity": "2" },
        ]}));
        assert_eq!(
            items(&order).unwrap_err(),
            [
                "items[1].sku must be text",
                "items[1].quantity must be a whole number from 1 to 1000000000",
                "items[2] must be an object with sku and quantity",
                "missing items[3].sku",
                "items[3].quantity must be a whole number from 1 to 1000000000",
                "items[4].sku must not be empty",
                "items[4].quantity must be a whole number from 1 to 1000000000",
            ]
        );
        assert_eq!(items(&payload(&json!({}))).unwrap_err(), ["missing items"]);
        assert!(items(&payload(&json!({ "items": [] }))).is_err());
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way() {
        for text in ["2", "2.0", "2e0", "0.2e1"] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(whole_number(&value), Some(2), "{text}");
        }
        for text in ["0", "-1", "1000000001", "1e30", "123456789012345678901234567890123"] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(whole_number(&value), None, "{text}");
        }
    }

    #[test]
    fn lines_of_one_sku_are_added_up() {
        let items = [("B", 1), ("A", 2), ("B", 3)]
            .map(|(sku, quantity)| Item { sku: sku.to_owned(), quantity });
        assert_eq!(quantity_by_sku(&items), BTreeMap::from([("A", 2), ("B", 4)]));
    }
}
