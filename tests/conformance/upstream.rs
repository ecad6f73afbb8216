//! Orders carried to the stage under test by the stages before it.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use workflow_tests::database_proxy::DatabaseProxy;

use crate::{
    delivery::{Batch, Record},
    harness::{Harness, number, text},
    process::Process,
    root,
    subject::{Provider, Subject, subjects},
    topics::published,
};

const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const AVAILABLE: usize = 1_000;
pub(crate) const QUANTITY: usize = 2;
pub(crate) const BALANCE: usize = 100;
/// The balance of a customer who has paid for one order.
pub(crate) const BALANCE_CHARGED: &str = "87.5";
/// The amount of an order.
const AMOUNT: &str = "12.5";
/// The same amount in Stripe's unit.
pub(crate) const CENTS: &str = "1250";

/// An order, with the record that triggers the stage under test.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) input: Record,
}

pub(crate) fn sku(subject: &Subject) -> String {
    format!("SKU-{}", subject.name.replace(' ', "-"))
}

/// Orders for every stage under test, the same number for each.
pub(crate) async fn orders(
    harness: &Harness,
    number_of_orders: usize,
) -> Vec<(Subject, Vec<Order>)> {
    let broker = harness.broker().await;
    let proxy = DatabaseProxy::start(harness.database.endpoint()).await;
    let start = |name: &'static str| {
        Process::start(harness.function(name, (&broker, &proxy.url), &[], TIMEOUT))
    };
    let order_api = start("order-api").await;
    let mut waiting = HashMap::new();
    for subject in subjects() {
        let sku = sku(&subject);
        let stock =
            [("sku", text(&sku)), ("available", number(AVAILABLE)), ("reserved", number(0))];
        harness.put("StockTable", &stock).await;
        for index in 0..number_of_orders {
            let customer = format!("cust-{}-{index}", subject.name.replace(' ', "-"));
            if subject.has_account {
                let account = [("customerId", text(&customer)), ("balance", number(BALANCE))];
                harness.put("AccountsTable", &account).await;
            }
            waiting.insert(post(&order_api, &customer, &sku).await, (subject, customer));
        }
    }
    // Each stage once, with the providers of the default settings.
    let is_before = |it: &Subject| it.output.is_some() && it.provider == Provider::None;
    for Subject { input: topic, function, .. } in subjects().into_iter().filter(is_before) {
        let is_input = |record: &Record| {
            let subject = record.order_id().and_then(|id| Some(waiting.get(&id)?.0));
            record.topic == topic && subject.is_some_and(|it| it.input != topic)
        };
        let records = published(broker.bootstrap_servers()).await;
        let partitions = vec![records.into_iter().filter(is_input).collect()];
        start(function).await.succeed(&Batch { topic, partitions }).await;
    }
    let records = published(broker.bootstrap_servers()).await;
    let of_subject = |subject: Subject| {
        let inputs = records.iter().filter(move |record| record.topic == subject.input);
        let orders = inputs.filter_map(|input| {
            let id = input.order_id()?;
            let (of, customer) = waiting.get(&id)?;
            let order = Order { id, customer: customer.clone(), input: input.clone() };
            (of.name == subject.name).then_some(order)
        });
        let orders: Vec<_> = orders.collect();
        assert_eq!(orders.len(), number_of_orders, "{}: orders on their topic", subject.name);
        (subject, orders)
    };
    subjects().into_iter().map(of_subject).collect()
}

/// Posts an order; returns its id.
async fn post(order_api: &Process, customer: &str, sku: &str) -> String {
    let file = root().join("events/order-api/post-order.json");
    let event = std::fs::read(file).expect("the event file is read");
    let mut event: Value = serde_json::from_slice(&event).expect("the event file is JSON");
    let amount: serde_json::Number = AMOUNT.parse().expect("a number");
    event["headers"] = json!({
        "content-type": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    let order = json!({
        "customerId": customer,
        "items": [{ "sku": sku, "quantity": QUANTITY }],
        "totalAmount": amount,
        "paymentMethodId": "pm_card_visa",
    });
    event["body"] = order.to_string().into();
    let response = order_api.invoke(&event).await.expect("order-api responds");
    assert_eq!(response["statusCode"], 202, "{response}");
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    body["orderId"].as_str().unwrap().to_owned()
}
