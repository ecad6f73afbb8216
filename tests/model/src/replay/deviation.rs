//! The ways in which a run can deviate from the protocol.

use std::fmt::{Display, Formatter, Result};

use contracts::StageName;

use super::entry::{Entry, What};
use crate::{
    order::{Order, Row},
    rule::Rule,
    turn::Visible,
};

/// The first entry of a trace that the protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The index of the entry in the trace.
    pub position: usize,
    pub entry: Entry,
    pub kind: Kind,
    /// The steps that were allowed instead.
    pub allowed: Vec<Visible>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The order and stage have a row already.
    SecondDecision,
    SecondRelease,
    ChargedAfterCancellation,
    /// The row is stored only later.
    PublishedBeforeItsRow,
    /// No row has the event.
    PublishedWithoutARow,
    /// The row has an event of this type, with other bytes.
    OtherBytes,
    /// The event of an early row, before the reservation.
    PublishedBeforeItsTurn,
    /// The rows that the decision builds on are not there, or decide otherwise.
    RowOutOfTurn,
    /// The stock or the balance does not allow the decision.
    AgainstStockOrBalance,
    /// The offset moved before the row was stored and its event published.
    DoneTooEarly,
    /// A step of the model has broken one of its rules.
    Broken(Rule),
    /// The row is about an order that was never accepted.
    UnknownOrder,
}

impl Display for Deviation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { position, entry: Entry { order, what, .. }, kind, allowed } = self;
        write!(f, "entry {position}: {kind:?}: order {order}: {what:?}; allowed: {allowed:?}")
    }
}

/// Why the model has no step for an entry.
pub(super) fn kind(order: &Order, trace: &[Entry], position: usize) -> Kind {
    match &trace[position].what {
        What::Row { stage, row, .. } => match (order.row(*stage), row) {
            (Some(Row::Early(_)), Row::Accepted) => Kind::ChargedAfterCancellation,
            (Some(_), _) if *stage == StageName::Release => Kind::SecondRelease,
            (Some(_), _) => Kind::SecondDecision,
            (None, _) if may_decide(order, *stage) => Kind::AgainstStockOrBalance,
            (None, _) => Kind::RowOutOfTurn,
        },
        What::Published { event, .. } => {
            let publisher = event.published_by();
            match order.event(publisher) {
                Some(stored) if stored == *event && !order.has_turn(publisher) => {
                    Kind::PublishedBeforeItsTurn
                }
                _ if is_stored_later(trace, position) => Kind::PublishedBeforeItsRow,
                _ => Kind::PublishedWithoutARow,
            }
        }
        What::Done(_) => Kind::DoneTooEarly,
    }
}

/// The decision before that of the stage is there.
fn may_decide(order: &Order, stage: StageName) -> bool {
    match stage {
        StageName::Inventory => order.has_accepted(StageName::Validator),
        StageName::Payment => order.is_reserved(),
        _ => false,
    }
}

/// The row of a published event follows.
fn is_stored_later(trace: &[Entry], position: usize) -> bool {
    let What::Published { event, .. } = &trace[position].what else { return false };
    let order = &trace[position].order;
    trace[position..].iter().any(|later| {
        later.order == *order
            && matches!(&later.what, What::Row { stage, .. } if *stage == event.published_by())
    })
}
