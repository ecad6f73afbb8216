//! Queries for the orders that have not ended.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use contracts::{StageName, happy_path};
use engine::{
    OrdersTable, Row, RowKey, TransientError,
    failpoint::{Point, reach},
    orders_table::MAX_KEYS,
    row::{
        INTAKE_SHARDS, Item,
        attribute::{INTAKE, ORDER_ID, STAGE},
        intake_partition,
    },
};
use jiff::{Timestamp, ToSpan};

/// The index of orders by time of intake; only the first row of an order is in it.
const INTAKE_INDEX: &str = "OrdersByIntake";

/// A time range in one partition of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IntakeRange {
    partition: String,
    from: String,
    to: String,
}

/// A page of the orders of a range.
#[derive(Debug)]
pub(crate) struct IntakePage {
    pub(crate) ids: Vec<String>,
    /// The key after which the next page begins.
    pub(crate) next: Option<Item>,
}

/// The ranges of the index that cover a span of time.
pub(crate) fn intake_ranges(from: Timestamp, to: Timestamp) -> Vec<IntakeRange> {
    let text = |at: Timestamp| format!("{at:.3}");
    let day = |at: Timestamp| text(at).chars().take(10).collect::<String>();
    let (mut days, mut at) = (vec![day(from)], from);
    while days.last() != Some(&day(to)) {
        at += 24.hours();
        days.push(day(at.min(to)));
    }
    let shards = days
        .iter()
        .flat_map(|day| (0..INTAKE_SHARDS).map(move |shard| intake_partition(day, shard)));
    shards.map(|partition| IntakeRange { partition, from: text(from), to: text(to) }).collect()
}

/// Reads a page of the orders of a range, after a key.
pub(crate) async fn list_by_intake(
    table: &OrdersTable,
    range: &IntakeRange,
    after: Option<Item>,
) -> Result<IntakePage, TransientError> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let response = table
        .client
        .query()
        .table_name(&table.name)
        .index_name(INTAKE_INDEX)
        .key_condition_expression(format!(
            "{INTAKE} = :intake AND acceptedAt BETWEEN :from AND :to"
        ))
        .expression_attribute_values(":intake", text(&range.partition))
        .expression_attribute_values(":from", text(&range.from))
        .expression_attribute_values(":to", text(&range.to))
        .set_exclusive_start_key(after)
        .send()
        .await
        .map_err(|error| TransientError::aws("list orders by time", &error))?;
    let id = |entry: &Item| Some(entry.get(ORDER_ID)?.as_s().ok()?.clone());
    let ids = response.items().iter().filter_map(id).collect();
    Ok(IntakePage { ids, next: response.last_evaluated_key })
}

/// Filters out the orders that have ended. The read is eventually consistent, at half the price, so
/// an order that has just ended may remain.
pub(crate) async fn without_close(
    table: &OrdersTable,
    ids: &[String],
) -> Result<Vec<String>, TransientError> {
    const OPERATION: &str = "look up which orders have ended";
    let read = KeysAndAttributes::builder().projection_expression(format!("{ORDER_ID}, {STAGE}"));
    let mut closed = HashSet::new();
    for chunk in ids.chunks(MAX_KEYS) {
        let key = |id: &String| RowKey { id: id.clone(), stage: StageName::Close };
        let keys: Vec<_> = chunk.iter().map(key).collect();
        let close = |item: Item| {
            closed.extend(item.get(ORDER_ID).and_then(|id| id.as_s().ok()).cloned());
        };
        table.get_items(OPERATION, &keys, read.clone(), close).await?;
    }
    Ok(ids.iter().filter(|id| !closed.contains(*id)).cloned().collect())
}

/// The rows of the orders that have not ended, read consistently.
pub(crate) async fn rows_of_open(
    table: &OrdersTable,
    ids: &[String],
) -> Result<Vec<Vec<Row>>, TransientError> {
    let mut open = Vec::with_capacity(ids.len());
    let stages = || happy_path().map(|spec| spec.name).chain([StageName::Close]);
    for chunk in ids.chunks(MAX_KEYS / stages().count()) {
        let keys =
            chunk.iter().flat_map(|id| stages().map(move |stage| RowKey { id: id.clone(), stage }));
        reach(Point::BeforeLookUp);
        let mut found: HashMap<_, _> = table.get_all(&keys.collect::<Vec<_>>()).await?;
        reach(Point::AfterLookUp);
        for id in chunk {
            let keys = stages().map(|stage| RowKey { id: id.clone(), stage });
            let rows: Result<Vec<Row>, _> = keys.filter_map(|key| found.remove(&key)).collect();
            match rows {
                Ok(rows) if rows.iter().all(|row| row.key.stage != StageName::Close) => {
                    open.push(rows);
                }
                Ok(_) => {}
                // A person must correct it.
                Err(error) => tracing::warn!(orderId = id, %error, "cannot recover the order"),
            }
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_read_from_the_days_that_it_touches() {
        let days = |from: &str, to: &str| {
            let ranges = intake_ranges(from.parse().unwrap(), to.parse().unwrap());
            assert!(ranges.iter().all(|it| it.from <= it.to));
            let mut days: Vec<_> = ranges.iter().map(|it| it.partition[..10].to_owned()).collect();
            days.dedup();
            assert_eq!(ranges.len(), days.len() * usize::from(INTAKE_SHARDS));
            days
        };
        assert_eq!(days("2026-02-06T12:00:00Z", "2026-02-06T12:06:00Z"), ["2026-02-06"]);
        assert_eq!(
            days("2026-02-06T23:58:00Z", "2026-02-08T00:04:00Z"),
            ["2026-02-06", "2026-02-07", "2026-02-08"]
        );
    }
}
