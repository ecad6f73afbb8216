//! Items that a person must correct: their own records become dead letters, and none is rejected.

use aws_sdk_dynamodb::types::AttributeValue;
use contracts::{EventType, StageName, Topic};
use engine::RowBody;
use serde_json::{Value, json};
use workflow_tests::{
    captured::Captured,
    stages::{Record, Stages},
};

type Attributes = Vec<(&'static str, AttributeValue)>;

/// The correction of an item that the database cannot add to.
const INVALID: &str = "available or reserved is not a number of at most 28 digits";

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

fn event(event_type: EventType, order_id: &str, customer_id: &str, sku: &str) -> Record {
    let event: Value = json!({
        "eventType": event_type.name(), "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z",
        "payload": {
            "customerId": customer_id, "totalAmount": 1, "items": [{ "sku": sku, "quantity": 1 }],
        },
    });
    Record::of(event.to_string())
}

/// The event in a stage's row about an order.
async fn decided(stages: &Stages, order_id: &str, stage: StageName) -> Option<String> {
    match &stages.rows(order_id).await.get(&stage)?.body {
        RowBody::Event(event) => Some(event.body.clone()),
        RowBody::Data(data) => Some(data.clone()),
    }
}

#[tokio::test]
async fn a_stock_item_without_numbers_holds_up_its_orders_alone_until_it_is_corrected() {
    let stages = Stages::start().await;
    let good = [("sku", text("GOOD")), ("available", number("5")), ("reserved", number("0"))];
    stages.put("StockTable", &good).await;
    let broken: [(&str, &str, Attributes); 5] = [
        ("TEXT", "holds a string", vec![("available", text("500")), ("reserved", text("0"))]),
        ("MISSING", "is missing", vec![("reserved", number("0"))]),
        ("MISSPELT", "is missing", vec![("availble", number("5"))]),
        ("RESERVED", INVALID, vec![("available", number("5")), ("reserved", text("0"))]),
        ("LONG", INVALID, vec![("available", number("1E+100")), ("reserved", number("0"))]),
    ];
    for (sku, _, attributes) in &broken {
        let mut item = attributes.clone();
        item.push(("sku", text(sku)));
        stages.put("StockTable", &item).await;
    }
    let order = |sku: &str| event(EventType::OrderValidated, &format!("ord-{sku}"), "cust-1", sku);
    let mut batch: Vec<_> = broken.iter().map(|(sku, ..)| order(sku)).collect();
    batch.extend([order("GOOD"), order("UNKNOWN")]);
    let (log, logging) = Captured::start("info");
    stages.deliver(Topic::OrderValidated, &batch, 1).await;
    drop(logging);

    let good = decided(&stages, "ord-GOOD", StageName::Inventory).await.unwrap();
    assert!(good.contains("InventoryReserved"), "{good}");
    let unknown = decided(&stages, "ord-UNKNOWN", StageName::Inventory).await.unwrap();
    assert!(unknown.contains("UNKNOWN_SKU: UNKNOWN is not sold here"), "{unknown}");
    for (sku, holds, _) in &broken {
        let order_id = format!("ord-{sku}");
        assert_eq!(decided(&stages, &order_id, StageName::Inventory).await, None, "{sku}");
        assert_eq!(log.outcome(&order_id), "given-up");
        let error = log.of_order(&order_id)[0]["error"].as_str().unwrap().to_owned();
        let named = format!("sku {sku:?}");
        for part in ["StockTable", &named, *holds, "correct the item"] {
            assert!(error.contains(part), "{sku}: {part} is not in {error}");
        }
    }

    for (sku, ..) in &broken {
        let item = [("sku", text(sku)), ("available", number("5")), ("reserved", number("0"))];
        stages.put("StockTable", &item).await;
    }
    stages.deliver(Topic::OrderValidated, &batch, 1).await;
    for (sku, ..) in &broken {
        let event = decided(&stages, &format!("ord-{sku}"), StageName::Inventory).await.unwrap();
        assert!(event.contains("InventoryReserved"), "{sku}: {event}");
    }
}

#[tokio::test]
async fn an_account_without_a_number_holds_up_its_orders_and_names_nobody() {
    let stages = Stages::start().await;
    let good = [("customerId", text("acc-good")), ("balance", number("1000"))];
    stages.put("AccountsTable", &good).await;
    let text_balance = [("customerId", text("acc-text")), ("balance", text("1000.00"))];
    stages.put("AccountsTable", &text_balance).await;
    stages.put("AccountsTable", &[("customerId", text("acc-none"))]).await;
    let mut batch = Vec::new();
    for customer in ["acc-text", "acc-none", "acc-good", "acc-unknown"] {
        let order_id = format!("ord-{}", customer.trim_start_matches("acc-"));
        let record = event(EventType::InventoryReserved, &order_id, customer, "A");
        assert!(stages.store(&record.value).await);
        batch.push(record);
    }
    let (log, logging) = Captured::start("trace");
    stages.deliver(Topic::InventoryReserved, &batch, 1).await;
    drop(logging);
    let paid = decided(&stages, "ord-good", StageName::Payment).await.unwrap();
    assert!(paid.contains("PaymentCompleted"), "{paid}");
    let unknown = decided(&stages, "ord-unknown", StageName::Payment).await.unwrap();
    assert!(unknown.contains("the customer has no account"), "{unknown}");
    for (order_id, holds) in [("ord-text", "holds a string"), ("ord-none", "is missing")] {
        assert_eq!(decided(&stages, order_id, StageName::Payment).await, None, "{order_id}");
        assert_eq!(log.outcome(order_id), "given-up");
        let given_up = log.of_order(order_id);
        let error = given_up[0]["error"].as_str().unwrap();
        let named = format!(
            "AccountsTable with the customerId of the order: attribute \"balance\" {holds}"
        );
        assert!(error.contains(&named), "{error}");
    }
    for secret in ["acc-text", "acc-none", "1000.00"] {
        assert!(!log.text().contains(secret), "{secret} is in the log");
    }

    for customer in ["acc-text", "acc-none"] {
        let item = [("customerId", text(customer)), ("balance", number("1000"))];
        stages.put("AccountsTable", &item).await;
    }
    stages.deliver(Topic::InventoryReserved, &batch, 1).await;
    for order_id in ["ord-text", "ord-none"] {
        let event = decided(&stages, order_id, StageName::Payment).await.unwrap();
        assert!(event.contains("PaymentCompleted"), "{order_id}: {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_whose_reservation_cannot_be_read_is_left_to_a_person() {
    let stages = Stages::start().await;
    let created = json!({
        "eventType": "OrderCreated", "orderId": "ord-1", "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z", "payload": {},
    })
    .to_string();
    assert!(stages.store(created.as_bytes()).await);
    stages.cancel(created.as_bytes()).await;
    let unreadable = [("orderId", text("ord-1")), ("stage", text("inventory"))];
    stages.put("OrdersTable", &unreadable).await;
    let reserved = event(EventType::InventoryReserved, "ord-1", "cust-1", "SKU-1");
    let (log, logging) = Captured::start("info");
    stages.deliver(Topic::InventoryReserved, &[reserved], 1).await;
    drop(logging);
    assert_eq!(log.outcome("ord-1"), "given-up");
}
