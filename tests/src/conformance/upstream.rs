//! Orders carried to the stage under test by the stages before it.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::world::root;

use super::{
    delivery::Record,
    harness::{Harness, number, text},
    subject::{Subject, subjects},
    workflow::Workflow,
};

pub const AVAILABLE: usize = 1_000;
pub const QUANTITY: usize = 2;
pub const BALANCE: usize = 100;
/// The balance of a customer who has paid for one order.
pub const BALANCE_CHARGED: &str = "87.5";
/// The amount of an order.
const AMOUNT: &str = "12.5";
/// The same amount in Stripe's unit.
pub const CENTS: &str = "1250";

/// An order, with the record that triggers the stage under test.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    pub customer: String,
    pub sku: String,
    pub input: Record,
}

/// Orders for one stage, with a SKU of their own.
#[derive(Debug, Clone)]
pub struct Lot {
    pub subject: Subject,
    /// Part of the SKU and of the customers' ids, so it must be unique.
    pub name: String,
    pub number: usize,
}

impl Lot {
    #[must_use]
    pub fn sku(&self) -> String {
        format!("SKU-{}", self.name)
    }

    #[must_use]
    pub fn customers(&self) -> Vec<String> {
        (0..self.number).map(|index| format!("cust-{}-{index}", self.name)).collect()
    }

    /// Inserts the stock and the accounts of the orders.
    pub async fn prepare(&self, harness: &Harness) {
        let sku = self.sku();
        let stock =
            [("sku", text(&sku)), ("available", number(AVAILABLE)), ("reserved", number(0))];
        harness.put("StockTable", &stock).await;
        for customer in self.customers().iter().filter(|_| self.subject.has_account) {
            let account = [("customerId", text(customer)), ("balance", number(BALANCE))];
            harness.put("AccountsTable", &account).await;
        }
    }
}

/// Orders for every stage under test, the same number for each.
pub async fn orders(harness: &Harness, number_of_orders: usize) -> Vec<(Subject, Vec<Order>)> {
    let lot = |subject: Subject| Lot {
        subject,
        name: subject.name.replace(' ', "-"),
        number: number_of_orders,
    };
    let lots: Vec<_> = subjects().into_iter().map(lot).collect();
    let workflow = Workflow::start(harness).await;
    subjects().into_iter().zip(carry(&workflow, harness, &lots).await).collect()
}

/// Posts the orders of these lots and carries each to its stage.
pub async fn carry(workflow: &Workflow, harness: &Harness, lots: &[Lot]) -> Vec<Vec<Order>> {
    let mut waiting = HashMap::new();
    for (index, lot) in lots.iter().enumerate() {
        lot.prepare(harness).await;
        for customer in lot.customers() {
            let id = workflow.post(&post_event(&customer, &lot.sku(), Some(&customer))).await;
            waiting.insert(id, (index, customer));
        }
    }
    let lot_of = |record: &Record| Some(waiting.get(&record.order_id()?)?.0);
    let goes_on = |record: &Record| {
        lot_of(record).is_some_and(|index| lots[index].subject.input != record.topic)
    };
    workflow.run(&[], goes_on).await;
    let mut orders: Vec<Vec<Order>> = lots.iter().map(|_| Vec::new()).collect();
    for input in workflow.published().await {
        let Some(id) = input.order_id() else { continue };
        let Some((index, customer)) = waiting.get(&id) else { continue };
        if input.topic == lots[*index].subject.input {
            let (customer, sku) = (customer.clone(), lots[*index].sku());
            orders[*index].push(Order { id, customer, sku, input });
        }
    }
    for (lot, orders) in lots.iter().zip(&orders) {
        assert_eq!(orders.len(), lot.number, "{}: orders on their topic", lot.name);
    }
    orders
}

/// A request of `POST /orders`.
#[must_use]
pub fn post_event(customer: &str, sku: &str, key: Option<&str>) -> Value {
    let file = root().join("events/order-api/post-order.json");
    let event = std::fs::read(file).expect("the event file is read");
    let mut event: Value = serde_json::from_slice(&event).expect("the event file is JSON");
    let amount: serde_json::Number = AMOUNT.parse().expect("a number");
    event["headers"] = json!({
        "content-type": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    if let Some(key) = key {
        event["headers"]["idempotency-key"] = key.into();
    }
    let order = json!({
        "customerId": customer,
        "items": [{ "sku": sku, "quantity": QUANTITY }],
        "totalAmount": amount,
        "paymentMethodId": "pm_card_visa",
    });
    event["body"] = order.to_string().into();
    event
}
