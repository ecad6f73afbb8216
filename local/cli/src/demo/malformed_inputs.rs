//! Malformed inputs of the demo: orders, bodies and records, a few of each kind.

use contracts::{FailureCode, JsonObject};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub(crate) fn break_one_rule(payload: &mut JsonObject, rng: &mut ChaCha8Rng) {
    let line = |sku: Value, quantity: Value| json!([{ "sku": sku, "quantity": quantity }]);
    let too_many: Value =
        (0..99).map(|index| json!({ "sku": format!("SKU-{index}"), "quantity": 1 })).collect();
    let (field, value) = match rng.random_range(0..12_u32) {
        0 => ("customerId", json!("  ")),
        1 => ("customerId", json!(4711)),
        2 => ("items", json!([])),
        3 => ("items", json!("two cups")),
        4 => ("items", line(json!(""), json!(1))),
        5 => ("items", line(json!("TEA"), json!(0))),
        6 => ("items", line(json!("TEA"), number("1.5"))),
        7 => ("items", too_many),
        8 => ("totalAmount", number("-4.50")),
        9 => ("totalAmount", number("19.999")),
        10 => ("totalAmount", json!("12.50")),
        _ => {
            // `shift_remove` keeps the order of the other fields.
            payload.shift_remove("customerId");
            payload.shift_remove("totalAmount");
            return;
        }
    };
    payload.insert(field.to_owned(), value);
}

/// A body that is not a JSON object.
pub(crate) fn body(rng: &mut ChaCha8Rng) -> &'static str {
    const BODIES: [&str; 5] = [
        "",
        "customerId=cust-1&items=tea",
        "{\"customerId\": \"cust-1\", \"items\": [",
        "[{\"sku\": \"TEA\", \"quantity\": 1}]",
        "\"an order\"",
    ];
    BODIES.choose(rng).copied().unwrap_or_default()
}

/// An unknown field, with a number that a float cannot represent.
pub(crate) fn unknown_field() -> Value {
    json!({ "wrapped": true, "card": "für Zoë", "weightKg": number("0.1000000000000000000000000001") })
}

/// A number with exactly these digits.
pub(crate) fn number(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap_or_default()
}

/// A malformed record for `order.created`: its value, and the expected code of its report.
pub(crate) fn malformed_record(number: u64, key: &str) -> (Option<Vec<u8>>, FailureCode) {
    let envelope = |event_type: &str| {
        json!({
            "eventType": event_type, "orderId": key, "correlationId": key,
            "timestamp": "2026-02-06T12:00:00Z", "payload": { "customerId": "cust-1" },
        })
        .to_string()
    };
    let (value, code) = match number % 5 {
        0 => ("not JSON at all".to_owned(), FailureCode::MalformedEvent),
        1 => (envelope("OrderCompleted"), FailureCode::UnexpectedEvent),
        2 => (envelope("InvoiceSent"), FailureCode::UnexpectedEvent),
        3 => ("{\"customerId\":\"cust-1\",\"items\":[]}".to_owned(), FailureCode::MalformedEvent),
        _ => return (None, FailureCode::MalformedEvent),
    };
    (Some(value.into_bytes()), code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn consecutive_malformed_records_are_malformed_in_different_ways() {
        let ways: BTreeSet<_> =
            (0..5).map(|number| malformed_record(number, "malformed-1")).collect();
        assert_eq!(ways.len(), 5);
    }
}
