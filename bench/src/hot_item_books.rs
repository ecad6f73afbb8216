//! The books after a measurement: the hot item, the rows of the orders, and the published events.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use serde::Deserialize;

use crate::bench::Bench;
use crate::error::{BenchError, Context, Result};
use crate::hot_item_plan::HotItem;
use crate::record::Record;
use crate::stage::ORDER_FAILED;

/// DynamoDB's limit for one `BatchGetItem`.
const MAX_KEYS: usize = 100;
const RESERVED: &str = "reserved";

/// The hot item and the rows, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Books {
    /// Units before the first order; each order takes one.
    pub(crate) holding: u64,
    pub(crate) remainder: u64,
    /// Of a SKU only.
    pub(crate) reserved: Option<Reserved>,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// Reserved quantities of the stock table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(crate) hot: u64,
    /// The sum of all other SKUs.
    pub(crate) others: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredEvent {
    event_type: String,
}

impl Books {
    /// Checks that every unit is in the books once, and that no order was rejected too early.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let Self { holding, remainder, reserved, accepted, refused } = *self;
        if remainder + accepted != holding {
            return Err(format!("{holding} at first, but {accepted} taken and {remainder} left"));
        }
        let expected = Reserved { hot: accepted, others: 0 };
        if let Some(reserved) = reserved.filter(|reserved| *reserved != expected) {
            return Err(format!("{reserved:?}, but {accepted} accepted orders need {expected:?}"));
        }
        if refused > 0 && remainder > 0 {
            return Err(format!("{refused} rejected, but {remainder} left"));
        }
        Ok(())
    }
}

/// Inserts the hot item, and returns the reserved quantities before the first order.
pub(crate) async fn load(bench: &Bench, hot: HotItem, holding: u64) -> Result<Reserved> {
    let (name, value) = hot.key();
    let number = |number: u64| AttributeValue::N(number.to_string());
    let database = &bench.servers.database;
    let put = database
        .client()
        .put_item()
        .table_name(database.table_name(hot.table()))
        .item(name, AttributeValue::S(value.to_owned()))
        .item(hot.remainder(), number(holding));
    let put = match hot {
        HotItem::Sku => put.item(RESERVED, number(0)),
        HotItem::Account => put,
    };
    put.send().await.context("cannot load the hot item")?;
    let (_, reserved) = items(bench, hot).await?;
    Ok(reserved)
}

/// Reads the books, and checks that every handled order has a row and the published event.
pub(crate) async fn read(
    bench: &mut Bench,
    hot: HotItem,
    (holding, before): (u64, Reserved),
    orders: &[&Record],
    done: &[String],
) -> Result<Books> {
    let rows = rows(bench, hot, orders).await?;
    let (remainder, reserved) = items(bench, hot).await?;
    let others = reserved.others.saturating_sub(before.others);
    let reserved = (hot == HotItem::Sku).then_some(Reserved { others, ..reserved });
    let (mut accepted, mut refused) = (HashSet::new(), HashSet::new());
    for (order_id, event) in &rows {
        let stored: StoredEvent = serde_json::from_str(event).context("cannot read a row")?;
        let is_failure = stored.event_type.ends_with("Failed");
        if is_failure { &mut refused } else { &mut accepted }.insert(order_id.clone());
    }
    check_published(bench, hot, &rows, &refused, done)?;
    let count = |orders: &HashSet<String>| u64::try_from(orders.len()).unwrap_or(u64::MAX);
    Ok(Books { holding, remainder, reserved, accepted: count(&accepted), refused: count(&refused) })
}

/// The stored event of each order, by its id.
async fn rows(bench: &Bench, hot: HotItem, orders: &[&Record]) -> Result<HashMap<String, String>> {
    let database = &bench.servers.database;
    let table = database.table_name("OrdersTable");
    let stage = AttributeValue::S(hot.stage().binary().to_owned());
    let failed = || BenchError::Invalid("cannot read the rows of the orders".to_owned());
    let mut rows = HashMap::with_capacity(orders.len());
    for orders in orders.chunks(MAX_KEYS) {
        let keys = orders.iter().map(|record| {
            let order_id = AttributeValue::S(record.key.clone());
            HashMap::from([("orderId".to_owned(), order_id), ("stage".to_owned(), stage.clone())])
        });
        let keys = KeysAndAttributes::builder().set_keys(Some(keys.collect()));
        let keys = keys.consistent_read(true).build().map_err(|_| failed())?;
        let request = database.client().batch_get_item().request_items(&table, keys);
        let output = request.send().await.context("cannot read the rows of the orders")?;
        if output.unprocessed_keys().is_some_and(|keys| !keys.is_empty()) {
            return Err(failed());
        }
        for item in output.responses.into_iter().flatten().flat_map(|(_, items)| items) {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
            rows.extend(text("orderId").zip(text("event")));
        }
    }
    Ok(rows)
}

/// The remainder of the hot item, and the reserved quantities of its table.
async fn items(bench: &Bench, hot: HotItem) -> Result<(u64, Reserved)> {
    let (key, hot_value) = hot.key();
    let database = &bench.servers.database;
    let scan = database.client().scan().table_name(database.table_name(hot.table()));
    let mut pages = scan.consistent_read(true).into_paginator().items().send();
    let (mut remainder, mut reserved) = (None, Reserved::default());
    while let Some(item) = pages.next().await {
        let item = item.context("cannot read the table of the hot item")?;
        let number = |name: &str| -> Option<u64> { item.get(name)?.as_n().ok()?.parse().ok() };
        if item.get(key).and_then(|key| key.as_s().ok()).is_some_and(|key| key == hot_value) {
            remainder = number(hot.remainder());
            reserved.hot = number(RESERVED).unwrap_or_default();
        } else {
            reserved.others += number(RESERVED).unwrap_or_default();
        }
    }
    let remainder = remainder.ok_or_else(|| {
        BenchError::Invalid(format!("{} of the hot item is not a number", hot.remainder()))
    })?;
    Ok((remainder, reserved))
}

fn check_published(
    bench: &mut Bench,
    hot: HotItem,
    rows: &HashMap<String, String>,
    refused: &HashSet<String>,
    done: &[String],
) -> Result<()> {
    let (refused, accepted): (HashSet<String>, HashSet<String>) =
        done.iter().cloned().partition(|order_id| refused.contains(order_id));
    let mut published = bench.read(ORDER_FAILED, &refused)?;
    if let Some(topic) = hot.stage().publishes_to() {
        published.extend(bench.read(topic, &accepted)?);
    }
    for record in published {
        if rows.get(&record.key).is_none_or(|event| event.as_bytes() != record.value) {
            let cause = format!("order {}: its event differs from that of its row", record.key);
            return Err(BenchError::Invalid(cause));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLD: Reserved = Reserved { hot: 20, others: 0 };
    const SOLD_OUT: Books =
        Books { holding: 20, remainder: 0, reserved: Some(SOLD), accepted: 20, refused: 4 };

    #[test]
    fn units_are_neither_lost_nor_sold_twice() {
        assert_eq!(SOLD_OUT.check(), Ok(()));
        assert!(Books { accepted: 21, ..SOLD_OUT }.check().is_err());
        for reserved in [Reserved { hot: 19, ..SOLD }, Reserved { others: 1, ..SOLD }] {
            assert!(Books { reserved: Some(reserved), ..SOLD_OUT }.check().is_err());
        }
    }

    #[test]
    fn nobody_is_refused_while_a_unit_is_left() {
        let account = Books { reserved: None, ..SOLD_OUT };
        let unsold = Books { remainder: 1, accepted: 19, ..account };
        assert!(unsold.check().is_err());
        assert_eq!(Books { refused: 0, ..unsold }.check(), Ok(()));
    }
}
