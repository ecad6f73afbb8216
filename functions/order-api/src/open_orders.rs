//! Queries for the orders that need the recovery.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use contracts::{Object, StageName, happy_path};
use engine::{
    OrdersTable, Row, RowKey, TransientError,
    failpoint::{Point, reach},
    orders_table::MAX_KEYS,
    row::{
        INTAKE_SHARDS, Item,
        attribute::{INTAKE, ORDER_ID, RESULT},
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
    // A request for the same row twice is refused, also where somebody has added a row by hand.
    let ids: BTreeSet<String> = response.items().iter().filter_map(id).collect();
    Ok(IntakePage { ids: ids.into_iter().collect(), next: response.last_evaluated_key })
}

/// The orders of a page that may need the recovery.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// Those that have not ended.
    pub(crate) open: Vec<String>,
    /// Those that ended unpaid, so that their stock is to be released, and a charge to be refunded.
    pub(crate) unpaid: Vec<String>,
}

/// Filters out the orders that have ended otherwise. The read is eventually consistent, at half the
/// price, so an order that has just ended may remain.
pub(crate) async fn unfinished(
    table: &OrdersTable,
    ids: &[String],
) -> Result<Unfinished, TransientError> {
    const OPERATION: &str = "look up which orders have ended";
    // The name is a reserved word.
    let read = KeysAndAttributes::builder()
        .projection_expression(format!("{ORDER_ID}, #{RESULT}"))
        .expression_attribute_names(format!("#{RESULT}"), RESULT);
    // Each with whether it ended unpaid.
    let mut closed = HashMap::new();
    for chunk in ids.chunks(MAX_KEYS) {
        let key = |id: &String| RowKey { id: id.clone(), stage: StageName::Close };
        let keys: Vec<_> = chunk.iter().map(key).collect();
        let close = |item: Item| {
            let text = |name: &str| item.get(name).and_then(|text| text.as_s().ok());
            if let Some(id) = text(ORDER_ID) {
                closed.insert(id.clone(), text(RESULT).is_some_and(|result| is_unpaid(result)));
            }
        };
        table.get_items(OPERATION, &keys, read.clone(), close).await?;
    }
    let mut unfinished = Unfinished::default();
    for id in ids {
        match closed.get(id) {
            None => unfinished.open.push(id.clone()),
            Some(true) => unfinished.unpaid.push(id.clone()),
            Some(false) => {}
        }
    }
    Ok(unfinished)
}

/// Reads the result of a `close` row.
fn is_unpaid(result: &str) -> bool {
    let stage =
        Object::parse(result).ok().and_then(|it| Some(it.string("failedStage")?.into_owned()));
    stage.as_deref() == Some(StageName::Payment.name())
}

/// The rows of reservation, payment and release of these orders, read consistently.
pub(crate) async fn rows_of_unpaid(
    table: &OrdersTable,
    ids: &[String],
) -> Result<Vec<Vec<Row>>, TransientError> {
    rows_of(table, ids, &[StageName::Inventory, StageName::Payment, StageName::Release]).await
}

/// The rows of the orders that have not ended, read consistently.
pub(crate) async fn rows_of_open(
    table: &OrdersTable,
    ids: &[String],
) -> Result<Vec<Vec<Row>>, TransientError> {
    let stages = happy_path().map(|spec| spec.name).chain([StageName::Close]);
    let mut orders = rows_of(table, ids, &stages.collect::<Vec<_>>()).await?;
    orders.retain(|rows| rows.iter().all(|row| row.key.stage != StageName::Close));
    Ok(orders)
}

/// The rows of these stages, order by order, read consistently. Leaves out an order with a row that
/// cannot be read.
async fn rows_of(
    table: &OrdersTable,
    ids: &[String],
    stages: &[StageName],
) -> Result<Vec<Vec<Row>>, TransientError> {
    let mut orders = Vec::with_capacity(ids.len());
    let keys_of = |id: &str| {
        let key = |stage: &StageName| RowKey { id: id.to_owned(), stage: *stage };
        stages.iter().map(key).collect::<Vec<_>>()
    };
    for chunk in ids.chunks(MAX_KEYS / stages.len().max(1)) {
        let keys: Vec<_> = chunk.iter().flat_map(|id| keys_of(id)).collect();
        reach(Point::BeforeLookUp);
        let mut found: HashMap<_, _> = table.get_all(&keys).await?;
        reach(Point::AfterLookUp);
        for id in chunk {
            let keys = keys_of(id).into_iter();
            let rows: Result<Vec<Row>, _> = keys.filter_map(|key| found.remove(&key)).collect();
            match rows {
                Ok(rows) => orders.push(rows),
                // A person must correct it.
                Err(error) => tracing::warn!(orderId = id, %error, "cannot recover the order"),
            }
        }
    }
    Ok(orders)
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
