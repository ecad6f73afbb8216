//! The records that no row has explained.

use contracts::{Envelope, Topic};
use engine::{Digest, Row, RowBody};
use terminal::ExitError;

use crate::{
    finding::{Finding, Kind},
    order::Order,
    scan::Rules,
    tables::Tables,
    topics::Unmatched,
};

/// The finding about a record that no row has explained.
pub(crate) async fn check(
    rules: &Rules,
    tables: &Tables,
    record: &Unmatched,
) -> Result<Option<Finding>, ExitError> {
    let topic = record.position.topic;
    let decoded = Envelope::decode(&record.value).ok();
    let Some(event) = decoded.filter(|event| event.event_type.topic() == topic) else {
        return malformed_finding(rules, tables, record).await;
    };
    let (id, stage) = (event.order_id.as_str(), event.event_type.published_by());
    let items = tables.rows_of(id).await.map_err(ExitError::start)?;
    let order = Order::of(id.to_owned(), &items, rules.started);
    let found = format!("{} at {}", event.event_type, record.position);
    Ok(match order.row(stage) {
        _ if order.is_erased => None,
        Some(row) if holds(row, event.text()) => None,
        // Unreadable rows have their own finding.
        None if order.has(stage) => None,
        Some(_) => {
            let expected = format!("the event in the row of {stage}, byte for byte");
            Some(Finding::new(Kind::EventDiffers, id, expected, found))
        }
        None => {
            let expected =
                format!("a row of {stage}, which is stored before its event is published");
            Some(Finding::new(Kind::EventWithoutRow, id, expected, found))
        }
    })
}

fn holds(row: &Row, body: &str) -> bool {
    matches!(&row.body, RowBody::Event(event) if event.body == body)
}

/// A malformed record must be reported in a row of its own, except on `order.failed`.
async fn malformed_finding(
    rules: &Rules,
    tables: &Tables,
    record: &Unmatched,
) -> Result<Option<Finding>, ExitError> {
    let position = record.position.to_string();
    let is_new =
        record.timestamp.is_some_and(|at| rules.started.duration_since(at) < rules.open_for);
    if record.position.topic == Topic::OrderFailed || is_new {
        return Ok(None);
    }
    let id = format!("{position}#{}", Digest::of(&record.value));
    let items = tables.rows_of(&id).await.map_err(ExitError::start)?;
    let finding = || {
        let expected = "a row that reports the malformed record".to_owned();
        Finding::new(Kind::UnreportedRecord, &position, expected, "none")
    };
    Ok(items.is_empty().then(finding))
}
