//! The progress of an order, derived from its rows.
//!
//! A cancelled or expired order has its payment row early. The event of that row is published after
//! the reservation, so that the release finds it; until then the order continues, and may still
//! fail at an earlier stage.

use contracts::{EventType, StageName, StoredEvent, happy_path};
use engine::Row;

pub(crate) fn row_of(rows: &[Row], stage: StageName) -> Option<&Row> {
    rows.iter().find(|row| row.key.stage == stage)
}

/// The event of a stage. The report of a malformed record is in the same table, but belongs to no
/// order.
fn event_of(rows: &[Row], stage: StageName) -> Option<&StoredEvent> {
    row_of(rows, stage)?.event().filter(|event| !event.is_malformed_report)
}

/// The event of a payment that was decided early.
pub(crate) fn early(rows: &[Row]) -> Option<&StoredEvent> {
    row_of(rows, StageName::Payment).filter(|row| row.is_early())?.event()
}

pub(crate) fn is_reserved(rows: &[Row]) -> bool {
    event_of(rows, StageName::Inventory)
        .is_some_and(|event| event.event_type == EventType::InventoryReserved)
}

fn reservation(rows: &[Row]) -> Option<&Row> {
    row_of(rows, StageName::Inventory).filter(|_| is_reserved(rows))
}

/// The published events, each with its stage, in the order of the workflow. An early rejection is
/// not published before the reservation.
pub(crate) fn published(rows: &[Row]) -> impl Iterator<Item = (StageName, &StoredEvent)> {
    let has_turn = |stage: &StageName| {
        *stage != StageName::Payment || early(rows).is_none() || is_reserved(rows)
    };
    let stages = happy_path().map(|spec| spec.name).filter(has_turn);
    stages.filter_map(|stage| Some((stage, event_of(rows, stage)?)))
}

/// The rows whose events are published to lead an open order on: that of the last published one.
/// Before an early rejection comes the reservation, because a record of it that was given up may
/// have charged the order: the payment finds its own row, and refunds the charge.
pub(crate) fn to_publish(rows: &[Row]) -> impl Iterator<Item = &Row> {
    reservation(rows).filter(|_| early(rows).is_some()).into_iter().chain(furthest(rows))
}

/// The rows whose events a cancellation publishes: those of an early end, whatever its reason, once
/// the stock is reserved. The payment stage publishes a rejection that waits for the reservation.
pub(crate) fn to_end(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let is_due = early(rows).is_some() && is_reserved(rows);
    to_publish(rows).filter(move |_| is_due)
}

/// The row whose event leads a closed, unpaid order to its release: that of its reservation. The
/// payment finds its own row then, refunds a charge that lost the race against a cancellation, and
/// publishes its rejection again. `None` where both have been done, as far as the rows tell:
/// `may_be_charged` repeats the refund, which leaves no row.
pub(crate) fn to_settle(rows: &[Row], may_be_charged: bool) -> Option<&Row> {
    let is_unpaid =
        event_of(rows, StageName::Payment).is_some_and(|event| event.event_type.is_failure());
    let is_released = row_of(rows, StageName::Release).is_some();
    let has_refund = may_be_charged && early(rows).is_some();
    reservation(rows).filter(|_| is_unpaid && (!is_released || has_refund))
}

/// The row of the last published event.
fn furthest(rows: &[Row]) -> Option<&Row> {
    row_of(rows, published(rows).last()?.0)
}

/// The order is closed, or its last event is terminal.
pub(crate) fn is_over(rows: &[Row]) -> bool {
    let last = published(rows).last();
    row_of(rows, StageName::Close).is_some()
        || last.is_some_and(|(_, event)| event.event_type.is_terminal())
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;
    use engine::{Digest, RowBody, RowKey};
    use jiff::Timestamp;

    use super::*;

    /// The rows of an order with these events; that of an `OrderPaymentFailed` was decided early.
    fn rows(events: &[EventType]) -> Vec<Row> {
        let order_id = OrderId::parse("ord-1").unwrap();
        let row = |event_type: &EventType| {
            let early = *event_type == EventType::OrderPaymentFailed;
            let event =
                StoredEvent::new(*event_type, &order_id, "corr-1", Timestamp::UNIX_EPOCH, "{}");
            Row {
                key: RowKey { id: "ord-1".to_owned(), stage: event_type.published_by() },
                body: RowBody::Event(event),
                digest: if early { Digest::NONE } else { Digest::of(b"{}") },
                expires_at: 0,
                customer_index: None,
            }
        };
        events.iter().rev().map(row).collect()
    }

    #[test]
    fn an_unpaid_order_is_settled_from_its_reservation() {
        use EventType::{InventoryReserved, OrderInventoryFailed, OrderPaymentFailed};
        let released = |mut rows: Vec<Row>| {
            let mut release = rows[0].clone();
            release.key.stage = StageName::Release;
            rows.push(release);
            rows
        };
        let early = rows(&[InventoryReserved, OrderPaymentFailed]);
        let mut declined = early.clone();
        declined[0].digest = Digest::of(b"{}");
        for (rows, may_be_charged, is_left) in [
            (declined.clone(), false, true),
            (released(declined.clone()), false, false),
            (released(declined), true, false),
            (early.clone(), false, true),
            (released(early.clone()), false, false),
            (released(early), true, true),
            (rows(&[OrderInventoryFailed, OrderPaymentFailed]), true, false),
            // Its row of the payment is gone, so the payment would charge it.
            (rows(&[InventoryReserved]), true, false),
        ] {
            let row = to_settle(&rows, may_be_charged);
            assert_eq!(row.map(|row| row.key.stage), is_left.then_some(StageName::Inventory));
        }
    }

    #[test]
    fn the_reservation_is_published_before_an_early_rejection() {
        use EventType::{InventoryReserved, OrderCreated, OrderPaymentFailed, OrderValidated};
        let early = rows(&[OrderCreated, OrderValidated, InventoryReserved, OrderPaymentFailed]);
        let mut declined = early.clone();
        declined[0].digest = Digest::of(b"{}");
        for (rows, published) in [
            (early, vec![InventoryReserved, OrderPaymentFailed]),
            (declined, vec![OrderPaymentFailed]),
            (rows(&[OrderCreated, OrderValidated, OrderPaymentFailed]), vec![OrderValidated]),
            (rows(&[OrderCreated, OrderValidated, InventoryReserved]), vec![InventoryReserved]),
        ] {
            let events = to_publish(&rows).map(|row| row.event().unwrap().event_type);
            assert_eq!(events.collect::<Vec<_>>(), published);
        }
    }

    #[test]
    fn a_cancellation_publishes_an_early_end_of_any_reason_once_its_turn_has_come() {
        use EventType::{InventoryReserved, OrderInventoryFailed, OrderPaymentFailed};
        let early = rows(&[InventoryReserved, OrderPaymentFailed]);
        let mut declined = early.clone();
        declined[0].digest = Digest::of(b"{}");
        for (rows, published) in [
            (early, vec![InventoryReserved, OrderPaymentFailed]),
            (declined, vec![]),
            (rows(&[OrderPaymentFailed]), vec![]),
            (rows(&[OrderInventoryFailed, OrderPaymentFailed]), vec![]),
            (rows(&[InventoryReserved]), vec![]),
        ] {
            let events = to_end(&rows).map(|row| row.event().unwrap().event_type);
            assert_eq!(events.collect::<Vec<_>>(), published);
        }
    }

    #[test]
    fn a_cancellation_has_its_turn_once_the_stock_is_reserved() {
        use EventType::{
            InventoryReserved, OrderCompleted, OrderCreated, OrderInventoryFailed,
            OrderPaymentFailed, OrderValidated, PaymentCompleted,
        };
        for (events, furthest_event, over) in [
            (vec![OrderCreated], OrderCreated, false),
            (vec![OrderCreated, OrderPaymentFailed], OrderCreated, false),
            (vec![OrderCreated, OrderValidated, OrderPaymentFailed], OrderValidated, false),
            (
                vec![OrderCreated, OrderValidated, OrderInventoryFailed, OrderPaymentFailed],
                OrderInventoryFailed,
                true,
            ),
            (
                vec![OrderCreated, OrderValidated, InventoryReserved, OrderPaymentFailed],
                OrderPaymentFailed,
                true,
            ),
            (
                vec![OrderCreated, OrderValidated, InventoryReserved, PaymentCompleted],
                PaymentCompleted,
                false,
            ),
            (vec![OrderCreated, PaymentCompleted, OrderCompleted], OrderCompleted, true),
        ] {
            let rows = rows(&events);
            let row = furthest(&rows).unwrap();
            assert_eq!(row.event().unwrap().event_type, furthest_event, "{events:?}");
            assert_eq!(is_over(&rows), over, "{events:?}");
        }
        assert_eq!(furthest(&[]), None);
    }
}
