//! The order of a cell, with its own SKU and customer.

use contracts::order_id::ORDER_ID_PREFIX;
use engine::Digest;
use serde_json::{Value, json};

use crate::scenario::Scenario;

pub(crate) const AVAILABLE: u32 = 10;
pub(crate) const QUANTITY: u32 = 2;
pub(crate) const BALANCE: &str = "100";
pub(crate) const CHARGED: &str = "87.5";
const AMOUNT: f64 = 12.5;

#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) scenario: Scenario,
    pub(crate) key: String,
    /// Follows from the key.
    pub(crate) order_id: String,
    pub(crate) sku: String,
    pub(crate) customer: String,
}

impl Subject {
    pub(crate) fn new(name: &str, scenario: Scenario) -> Self {
        let key = format!("key-{name}");
        Self {
            scenario,
            order_id: format!("{ORDER_ID_PREFIX}{}", Digest::of(key.as_bytes())),
            key,
            sku: format!("SKU-{name}"),
            customer: format!("cust-{name}"),
        }
    }

    pub(crate) fn order(&self) -> Value {
        let quantity = match self.scenario {
            Scenario::Invalid => 0,
            Scenario::OutOfStock => AVAILABLE + 1,
            _ => QUANTITY,
        };
        let is_declined = matches!(self.scenario, Scenario::Declined | Scenario::Unreleased);
        let amount = if is_declined { 100.5 } else { AMOUNT };
        json!({
            "customerId": self.customer,
            "items": [{ "sku": self.sku, "quantity": quantity }],
            "totalAmount": amount,
        })
    }
}
