//! Erases one order: all rows, the one that lists it last.

use std::fmt;

use contracts::StageName;
use engine::Row;
use jiff::Timestamp;

use crate::{
    erased::{UnreadableEvent, erased},
    orders_table::{OrdersTable, Replaced, TableError},
};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Erased {
        rows: usize,
    },
    WouldErase {
        rows: usize,
    },
    /// The order needs its data until then.
    Open(&'static str),
    /// A row was changed by others.
    Changed,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Event(#[from] UnreadableEvent),
}

impl Outcome {
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Erased { .. } | Self::WouldErase { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erased { rows } => write!(formatter, "erased, {rows} rows overwritten"),
            Self::WouldErase { rows } => write!(formatter, "would be erased, {rows} rows"),
            Self::Open(why) => write!(formatter, "not erased: {why} (run the command again then)"),
            Self::Changed => formatter.write_str("not erased: it changed meanwhile (run again)"),
        }
    }
}

/// Overwrites the rows of an order that has ended.
pub(crate) async fn erase_order(
    table: &OrdersTable,
    order_id: &str,
    now: Timestamp,
    is_dry_run: bool,
) -> Result<Outcome, OrderError> {
    let mut rows = table.rows(order_id).await?;
    if let Some(why) = awaits(&rows, now) {
        return Ok(Outcome::Open(why));
    }
    // The first row is in the index by customer, so a run that stops before it is repeated.
    rows.sort_by_key(|row| row.key.stage == StageName::OrderApi);
    let is_reserved = accepted(&rows, StageName::Inventory);
    let pairs: Result<Vec<_>, _> =
        rows.iter().map(|row| Ok((row, erased(row, is_reserved)?))).collect();
    let pairs: Vec<_> = pairs.map_err(OrderError::Event)?;
    let pairs: Vec<_> = pairs.into_iter().filter(|(old, new)| *old != new).collect();
    if is_dry_run {
        return Ok(Outcome::WouldErase { rows: pairs.len() });
    }
    for (old, new) in &pairs {
        if table.replace(old, new).await? == Replaced::Changed {
            return Ok(Outcome::Changed);
        }
    }
    Ok(Outcome::Erased { rows: pairs.len() })
}

/// The event for which the order's data is still needed; `None` if there is none.
fn awaits(rows: &[Row], now: Timestamp) -> Option<&'static str> {
    let row = |stage| rows.iter().find(|row| row.key.stage == stage);
    let now = now.as_second();
    if rows.iter().all(|row| row.is_expired(now)) {
        return None;
    }
    if row(StageName::Close).is_none() {
        return Some("it has not ended");
    }
    // The release reads the items in the reservation's row.
    let is_released = row(StageName::Release).is_some();
    let is_unpaid = row(StageName::Payment).is_some() && !accepted(rows, StageName::Payment);
    let holds_stock = is_unpaid && accepted(rows, StageName::Inventory) && !is_released;
    holds_stock.then_some("its stock is not released yet")
}

/// True if the stage has accepted the order.
fn accepted(rows: &[Row], stage: StageName) -> bool {
    let events = rows.iter().filter(|row| row.key.stage == stage).filter_map(Row::event);
    events.into_iter().any(|event| !event.event_type.is_failure())
}
