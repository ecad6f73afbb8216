//! Every read of the orders table.
//!
//! What is said about an order is read consistently. Only the list of a customer's orders may lag
//! behind for a moment: DynamoDB brings its index up to date after the write.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use contracts::StageName;

use crate::{
    Retry, Row, Store,
    decision::Item,
    row::attribute::{ACCEPTED_AT, CUSTOMER_ID, ORDER_ID},
    store::{read, row_key},
};

/// The index of orders by customer; only the first row of an order is in it.
const CUSTOMER_INDEX: &str = "OrdersByCustomer";

/// An order's place in its customer's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The order.
    pub order_id: String,
    /// When it was taken in, in RFC 3339.
    pub accepted_at: String,
}

/// Some of a customer's orders, newest first.
#[derive(Debug)]
pub struct OrdersPage {
    /// The orders.
    pub orders: Vec<Place>,
    /// Whether older ones follow.
    pub goes_on: bool,
}

impl Store {
    /// The row of a stage about an order.
    ///
    /// # Errors
    /// When DynamoDB gives no answer, or the row cannot be read.
    pub async fn row(&self, key: &str, stage: StageName) -> Result<Option<Row>, Retry> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(row_key(key, stage)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Retry::new("reading a row", error))?;
        answer.item.as_ref().map(read).transpose()
    }

    /// Every row about an order; those of a large one come in several answers of 1 MB.
    ///
    /// # Errors
    /// When DynamoDB gives no answer, or a row cannot be read.
    pub async fn rows(&self, key: &str) -> Result<Vec<Row>, Retry> {
        let items: Result<Vec<Item>, _> = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("orderId = :orderId")
            .expression_attribute_values(":orderId", AttributeValue::S(key.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let items = items.map_err(|error| Retry::new("reading the rows of an order", error))?;
        items.iter().map(read).collect()
    }

    /// The row of one stage about each of these orders (at most 100), by order; an order without
    /// one is left out.
    ///
    /// # Errors
    /// When DynamoDB gives no answer or not all of it, or a row cannot be read.
    pub async fn rows_of_stage(
        &self,
        stage: StageName,
        order_ids: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, Row>, Retry> {
        let keys: Vec<_> = order_ids.map(|order_id| row_key(order_id, stage)).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let trouble = "reading one row of each order";
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|error| Retry::new(trouble, error))?;
        let answer = self
            .client
            .batch_get_item()
            .request_items(&self.table, request)
            .send()
            .await
            .map_err(|error| Retry::new(trouble, error))?;
        if answer.unprocessed_keys().is_some_and(|left| !left.is_empty()) {
            return Err(Retry::out_of_time(trouble));
        }
        let items = answer.responses().and_then(|responses| responses.get(&self.table));
        let rows = items.into_iter().flatten().map(read);
        rows.map(|row| row.map(|row| (row.key.clone(), row))).collect()
    }

    /// The orders of a customer, newest first, from the one after `after` on.
    ///
    /// # Errors
    /// When DynamoDB gives no answer.
    pub async fn orders_of(
        &self,
        customer_id: &str,
        after: Option<&Place>,
        limit: u8,
    ) -> Result<OrdersPage, Retry> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(CUSTOMER_INDEX)
            .key_condition_expression("customerId = :customerId")
            .expression_attribute_values(":customerId", AttributeValue::S(customer_id.to_owned()))
            .scan_index_forward(false)
            .set_exclusive_start_key(after.map(|place| index_key(customer_id, place)))
            // One more than is asked for tells whether the list goes on.
            .limit(i32::from(limit) + 1)
            .send()
            .await
            .map_err(|error| Retry::new("listing a customer's orders", error))?;
        let mut orders: Vec<Place> = answer.items().iter().filter_map(place).collect();
        let goes_on = orders.len() > usize::from(limit);
        orders.truncate(limit.into());
        Ok(OrdersPage { orders, goes_on })
    }
}

/// An index entry is told apart by its own key and that of the row.
fn index_key(customer_id: &str, place: &Place) -> Item {
    let mut key = row_key(&place.order_id, StageName::OrderApi);
    key.insert(CUSTOMER_ID.to_owned(), AttributeValue::S(customer_id.to_owned()));
    key.insert(ACCEPTED_AT.to_owned(), AttributeValue::S(place.accepted_at.clone()));
    key
}

fn place(entry: &Item) -> Option<Place> {
    let text = |name| Some(entry.get(name)?.as_s().ok()?.clone());
    Some(Place { order_id: text(ORDER_ID)?, accepted_at: text(ACCEPTED_AT)? })
}
