//! Usual orders: three lines out of many SKUs, many customers, events of about 450 bytes.

use serde_json::{Value, json};

const SKUS: u64 = 60;
const CUSTOMERS: u64 = 200;
/// More than any run uses.
const PLENTY: u64 = 1_000_000_000;
/// The SKU that is out of stock.
const OUT_OF_STOCK: &str = "KETTLE-COPPER";
/// The customer whose balance is zero.
const WITHOUT_BALANCE: &str = "cust-zero";

/// The workflow's decision on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Usual,
    /// The validator rejects it.
    Invalid,
    /// The inventory rejects it.
    OutOfStock,
    /// The payment rejects it.
    Declined,
}

pub(crate) fn sku(number: u64) -> String {
    format!("ITEM-{:03}", number % SKUS)
}

pub(crate) fn customer_id(number: u64) -> String {
    format!("cust-{:03}", number % CUSTOMERS)
}

/// Each SKU with the quantity to load.
pub(crate) fn stock() -> impl Iterator<Item = (String, u64)> {
    let plenty = (0..SKUS).map(|number| (sku(number), PLENTY));
    plenty.chain([(OUT_OF_STOCK.to_owned(), 0)])
}

/// Each customer with the balance to load.
pub(crate) fn balances() -> impl Iterator<Item = (String, u64)> {
    let plenty = (0..CUSTOMERS).map(|number| (customer_id(number), PLENTY));
    plenty.chain([(WITHOUT_BALANCE.to_owned(), 0)])
}

/// `true` for an event of an order that the inventory rejects.
pub(crate) fn is_out_of_stock(event: &[u8]) -> bool {
    event.windows(OUT_OF_STOCK.len()).any(|bytes| bytes == OUT_OF_STOCK.as_bytes())
}

/// The body of `POST /orders`.
pub(crate) fn body(number: u64, kind: Kind) -> String {
    let first = match kind {
        Kind::OutOfStock => OUT_OF_STOCK.to_owned(),
        _ => sku(number),
    };
    let customer_id = match kind {
        Kind::Declined => WITHOUT_BALANCE.to_owned(),
        _ => customer_id(number),
    };
    let quantity = u64::from(kind != Kind::Invalid);
    // Different strides through the SKUs, so that orders share some items but not all.
    let (second, third) = (sku(number / 3 + 20), sku(number / 7 + 40));
    json!({
        "customerId": customer_id,
        "items": [
            { "sku": first, "quantity": quantity },
            { "sku": second, "quantity": 2 },
            { "sku": third, "quantity": 1 + number % 3 },
        ],
        "totalAmount": 59.97,
        "deliverTo": { "name": "Ada Example", "street": "12 Example Street", "city": "Sampleton" },
    })
    .to_string()
}

/// API Gateway's event of a request with this body.
pub(crate) fn post_event(body: &str, idempotency_key: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/orders",
        "rawQueryString": "",
        "headers": {
            "content-type": "application/json",
            "host": "api.example.com",
            "idempotency-key": idempotency_key,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "bench",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/orders",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "bench",
            },
            "requestId": idempotency_key,
            "routeKey": "$default",
            "stage": "$default",
            "time": "06/Feb/2026:12:00:00 +0000",
            "timeEpoch": 1_770_379_200_000_u64,
        },
        "isBase64Encoded": false,
        "body": body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_and_customer_of_an_order_is_loaded() {
        let stock: Vec<String> = stock().map(|(sku, _)| sku).collect();
        let customers: Vec<String> = balances().map(|(customer, _)| customer).collect();
        let orders =
            [(0, Kind::Usual), (12_345, Kind::Usual), (7, Kind::OutOfStock), (8, Kind::Declined)];
        for (number, kind) in orders {
            let order: Value = serde_json::from_str(&body(number, kind)).unwrap();
            let customer = order["customerId"].as_str().unwrap().to_owned();
            assert!(customers.contains(&customer), "{customer}");
            for item in order["items"].as_array().unwrap() {
                assert!(stock.contains(&item["sku"].as_str().unwrap().to_owned()), "{item}");
            }
        }
    }
}
