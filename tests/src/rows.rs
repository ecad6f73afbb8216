//! The rows of the orders table, past the proxy.

use std::collections::{BTreeMap, HashMap};

use crate::world::World;
use aws_sdk_dynamodb::types::AttributeValue;
use contracts::StageName;
use serde_json::Value;

pub type Item = HashMap<String, AttributeValue>;

const TABLE: &str = "OrdersTable";

/// The rows of an order by stage.
pub async fn of(world: &World, order_id: &str) -> BTreeMap<String, Item> {
    let query = world.stack.database.client().query().table_name(world.stack.table(TABLE));
    let query = query.key_condition_expression("orderId = :id").consistent_read(true);
    let query = query.expression_attribute_values(":id", text(order_id));
    let items = query.send().await.expect("the rows are read").items.unwrap_or_default();
    items.into_iter().map(|row| (row["stage"].as_s().unwrap().clone(), row)).collect()
}

/// The number of rows whose key contains this text: that of a malformed record ends with the digest
/// of its value.
pub async fn with_key_text(world: &World, text: &str) -> usize {
    let scan = world.stack.database.client().scan().table_name(world.stack.table(TABLE));
    let items = scan.consistent_read(true).into_paginator().items().send();
    let items: Vec<Item> = items.collect::<Result<_, _>>().await.expect("the rows are read");
    items.iter().filter(|row| row["orderId"].as_s().unwrap().contains(text)).count()
}

/// The closing fields of each order that has ended, by order.
pub async fn closed(world: &World) -> BTreeMap<String, Value> {
    let scan = world.stack.database.client().scan().table_name(world.stack.table(TABLE));
    let scan = scan.filter_expression("stage = :close").consistent_read(true);
    let scan = scan.expression_attribute_values(":close", text("close"));
    let items = scan.into_paginator().items().send();
    let items: Vec<Item> = items.collect::<Result<_, _>>().await.expect("the rows are read");
    let closed = items.into_iter().map(|row| {
        let result = row["result"].as_s().expect("the result is text");
        let result = serde_json::from_str(result).expect("the result is JSON");
        (row["orderId"].as_s().unwrap().clone(), result)
    });
    closed.collect()
}

pub async fn put(world: &World, row: Item) {
    let put = world.stack.database.client().put_item().table_name(world.stack.table(TABLE));
    put.set_item(Some(row)).send().await.expect("the row is put");
}

pub async fn delete(world: &World, order_id: &str, stage: StageName) {
    let delete = world.stack.database.client().delete_item().table_name(world.stack.table(TABLE));
    let delete = delete.key("orderId", text(order_id)).key("stage", text(stage.name()));
    delete.send().await.expect("the row is deleted");
}

pub fn set(row: &mut Item, name: &str, value: AttributeValue) {
    row.insert(name.to_owned(), value);
}

pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}
