//! How far an order has come, from its rows.
//!
//! A cancelled or expired order has the row of the payment ahead of its turn. Its event is published
//! once the reservation is there, so that its release finds what to give back; until then the
//! order goes on, and may still end at an earlier stage.

use contracts::{EventType, StageName, StoredEvent};
use engine::Row;

/// The stages on an order's way to its end, in their order.
pub(crate) const WAY: [StageName; 5] = [
    StageName::OrderApi,
    StageName::Validator,
    StageName::Inventory,
    StageName::Payment,
    StageName::Notification,
];

/// The row of a stage.
pub(crate) fn row_of(rows: &[Row], stage: StageName) -> Option<&Row> {
    rows.iter().find(|row| row.key.stage == stage)
}

/// The event of a stage. The report of a malformed record is in the same table, but is about no
/// order.
fn event_of(rows: &[Row], stage: StageName) -> Option<&StoredEvent> {
    row_of(rows, stage)?.event().filter(|event| !event.is_malformed_report)
}

/// The event of a payment that was decided early.
pub(crate) fn early(rows: &[Row]) -> Option<&StoredEvent> {
    row_of(rows, StageName::Payment).filter(|row| row.is_early())?.event()
}

/// Whether the stock of the order is reserved.
pub(crate) fn is_reserved(rows: &[Row]) -> bool {
    event_of(rows, StageName::Inventory)
        .is_some_and(|event| event.event_type == EventType::InventoryReserved)
}

/// The events that have their turn, each with its stage, in the order of the workflow.
pub(crate) fn published(rows: &[Row]) -> impl Iterator<Item = (StageName, &StoredEvent)> {
    let has_turn = |stage: &StageName| {
        *stage != StageName::Payment || early(rows).is_none() || is_reserved(rows)
    };
    let stages = WAY.into_iter().filter(has_turn);
    stages.filter_map(|stage| Some((stage, event_of(rows, stage)?)))
}

/// The row whose event leads the order on.
pub(crate) fn furthest(rows: &[Row]) -> Option<&Row> {
    row_of(rows, published(rows).last()?.0)
}

/// Whether the order has ended, or ends with the next event.
pub(crate) fn is_over(rows: &[Row]) -> bool {
    let last = published(rows).last();
    row_of(rows, StageName::Close).is_some()
        || last.is_some_and(|(_, event)| event.event_type.is_terminal())
}
