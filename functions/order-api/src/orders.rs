//! Statements on the orders table that only the HTTP API makes.
//!
//! An order is read consistently. Only the list of a customer's orders may lag behind for a moment:
//! DynamoDB updates its index after the write.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use backon::{ExponentialBuilder, Retryable};
use contracts::StageName;
use engine::{
    OrdersTable, Row, RowKey, TransientError,
    failpoint::{Point, reach},
    row::{
        Item, UnreadableRow,
        attribute::{ACCEPTED_AT, CUSTOMER_ID, ORDER_ID},
    },
};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

/// The index of orders by customer; only the first row of an order is in it.
const CUSTOMER_INDEX: &str = "OrdersByCustomer";

/// The position of an order in its customer's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderCursor {
    pub(crate) order_id: String,
    /// In RFC 3339.
    pub(crate) accepted_at: String,
}

impl OrderCursor {
    /// True for an order that a query since this time excludes.
    pub(crate) fn is_before(&self, since: Timestamp) -> bool {
        self.accepted_at <= bound(since)
    }
}

/// The form in which `acceptedAt` is compared, as text.
fn bound(since: Timestamp) -> String {
    format!("{since:.3}")
}

/// Some of a customer's orders, newest first.
#[derive(Debug)]
pub(crate) struct OrdersPage {
    pub(crate) orders: Vec<OrderCursor>,
    /// Older orders follow.
    pub(crate) has_more: bool,
}

/// Every row about an order, and one that cannot be read, if there is one; the rows of a large order
/// come in several responses of 1 MB.
pub(crate) async fn rows(
    table: &OrdersTable,
    order_id: &str,
) -> Result<(Vec<Row>, Option<UnreadableRow>), TransientError> {
    const OPERATION: &str = "read the rows of an order";
    reach(Point::BeforeLookUp);
    let items: Result<Vec<Item>, _> = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("orderId = :orderId")
        .expression_attribute_values(":orderId", AttributeValue::S(order_id.to_owned()))
        .consistent_read(true)
        .into_paginator()
        .items()
        .send()
        .collect()
        .await;
    let items = items.map_err(|error| TransientError::aws(OPERATION, &error))?;
    let (mut rows, mut unreadable, now) = (Vec::new(), None, table.now());
    for item in &items {
        match Row::from_item(item).1 {
            Ok(row) if row.is_expired(now) => {}
            Ok(row) => rows.push(row),
            Err(error) => unreadable = Some(error),
        }
    }
    reach(Point::AfterLookUp);
    Ok((rows, unreadable))
}

/// The orders of a customer that were accepted since a time, newest first, after a cursor.
pub(crate) async fn list_by_customer(
    table: &OrdersTable,
    customer_id: &str,
    since: Timestamp,
    after: Option<&OrderCursor>,
    limit: u8,
) -> Result<OrdersPage, TransientError> {
    let response = table
        .client
        .query()
        .table_name(&table.name)
        .index_name(CUSTOMER_INDEX)
        .key_condition_expression("customerId = :customerId AND acceptedAt > :since")
        .expression_attribute_values(":customerId", AttributeValue::S(customer_id.to_owned()))
        .expression_attribute_values(":since", AttributeValue::S(bound(since)))
        .scan_index_forward(false)
        .set_exclusive_start_key(after.map(|cursor| index_key(customer_id, cursor)))
        // One more than is asked for tells whether the list goes on.
        .limit(i32::from(limit) + 1)
        .send()
        .await
        .map_err(|error| TransientError::aws("list a customer's orders", &error))?;
    let mut orders: Vec<OrderCursor> = response.items().iter().filter_map(cursor).collect();
    let has_more = orders.len() > usize::from(limit);
    orders.truncate(limit.into());
    Ok(OrdersPage { orders, has_more })
}

/// Repeats an operation with backoff until it succeeds or the time is up.
pub(crate) async fn retry_until<T, Attempt, Fut>(
    until: Instant,
    attempt: Attempt,
) -> Result<T, TransientError>
where
    Attempt: FnMut() -> Fut,
    Fut: Future<Output = Result<T, TransientError>>,
{
    let mut last = None;
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_secs(1))
        .with_jitter()
        .without_max_times();
    let attempts = attempt.retry(backoff).notify(|error, _| last = Some(error.clone()));
    match timeout_at(until, attempts).await {
        Ok(result) => result,
        Err(_elapsed) => Err(TransientError::timed_out("using the orders table", last)),
    }
}

/// The key of an index entry: its own and that of the row.
fn index_key(customer_id: &str, cursor: &OrderCursor) -> Item {
    let mut key = RowKey { id: cursor.order_id.clone(), stage: StageName::OrderApi }.to_item();
    key.insert(CUSTOMER_ID.to_owned(), AttributeValue::S(customer_id.to_owned()));
    key.insert(ACCEPTED_AT.to_owned(), AttributeValue::S(cursor.accepted_at.clone()));
    key
}

fn cursor(entry: &Item) -> Option<OrderCursor> {
    let text = |name| Some(entry.get(name)?.as_s().ok()?.clone());
    Some(OrderCursor { order_id: text(ORDER_ID)?, accepted_at: text(ACCEPTED_AT)? })
}
