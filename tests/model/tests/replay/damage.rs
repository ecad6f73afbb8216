//! Damaged traces, each of which must be found by its own deviation.

use std::collections::HashSet;

use contracts::{EventType, StageName};
use model::{
    Early, Row, Task,
    replay::{Deviation, Entry, Kind, Replay, What},
};
use strum::VariantArray;

use crate::market::Market;

/// A change of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub(crate) enum Damage {
    SwapPublishAndInsert,
    DropARow,
    ChangeBytes,
    DecideTwice,
    ReleaseTwice,
    ChargeAfterCancellation,
    DecideOutOfTurn,
    SellMoreThanThereIs,
    FinishBeforePublishing,
}

impl Damage {
    const fn kind(self) -> Kind {
        match self {
            Self::SwapPublishAndInsert => Kind::PublishedBeforeItsRow,
            Self::DropARow => Kind::PublishedWithoutARow,
            Self::ChangeBytes => Kind::OtherBytes,
            Self::DecideTwice => Kind::SecondDecision,
            Self::ReleaseTwice => Kind::SecondRelease,
            Self::ChargeAfterCancellation => Kind::ChargedAfterCancellation,
            Self::DecideOutOfTurn => Kind::RowOutOfTurn,
            Self::SellMoreThanThereIs => Kind::AgainstStockOrBalance,
            Self::FinishBeforePublishing => Kind::DoneTooEarly,
        }
    }

    pub(crate) fn assert_is_found(self, trace: &[Entry], market: &Market) {
        let mut damaged = trace.to_vec();
        self.apply(&mut damaged);
        let mut replay = Replay::new(market.protocol(), market.shared());
        let found = replay.run(&damaged, |body| market.terms(body));
        let deviation = found.expect_err("the damage is not found");
        println!("{self:?}: {}", brief(&deviation));
        assert_eq!(deviation.kind, self.kind(), "{self:?}: {deviation}");
    }

    fn apply(self, trace: &mut Vec<Entry>) {
        match self {
            Self::SwapPublishAndInsert => {
                let (row, published) = validated(trace);
                let to = trace[published].to;
                let mut row = trace.remove(row);
                (row.from, row.to) = (to + 1, to + 1);
                trace.insert(published, row);
            }
            Self::DropARow => {
                trace.remove(validated(trace).0);
            }
            Self::ChangeBytes => {
                let (_, published) = validated(trace);
                if let What::Published { body, .. } = &mut trace[published].what {
                    body.push(' ');
                }
            }
            Self::DecideTwice => again(trace, StageName::Inventory, Row::Accepted, |_| {}),
            Self::ReleaseTwice => again(trace, StageName::Release, Row::Accepted, |_| {}),
            Self::ChargeAfterCancellation => {
                let early = Row::Early(Early::Cancelled);
                again(trace, StageName::Payment, early, |what| decide(what, Row::Accepted));
            }
            Self::DecideOutOfTurn => {
                again(trace, StageName::OrderApi, Row::Accepted, |what| {
                    if let What::Row { stage, .. } = what {
                        *stage = StageName::Notification;
                    }
                });
            }
            Self::SellMoreThanThereIs => {
                sell_to_the_refused(trace);
            }
            Self::FinishBeforePublishing => {
                again(trace, StageName::Validator, Row::Accepted, |what| {
                    *what = What::Done(Task::Validate);
                });
            }
        }
    }
}

/// Accepts every order that was refused for want of stock. A single one may overlap with the last
/// sale, so that there was enough for it.
fn sell_to_the_refused(trace: &mut Vec<Entry>) {
    let is_refusal = row_of(StageName::Inventory, Row::Rejected);
    let refusals = trace.iter().filter(|entry| is_refusal(entry));
    let refused: HashSet<String> = refusals.map(|entry| entry.order.clone()).collect();
    // Whatever follows from the refusal.
    trace.retain(|entry| {
        let follows = match &entry.what {
            What::Published { event, .. } => *event == EventType::OrderInventoryFailed,
            What::Row { stage, .. } => *stage == StageName::Close,
            What::Done(_) => true,
        };
        !(follows && refused.contains(&entry.order))
    });
    for entry in trace.iter_mut().filter(|entry| is_refusal(entry)) {
        decide(&mut entry.what, Row::Accepted);
    }
}

fn decide(what: &mut What, decision: Row) {
    if let What::Row { row, .. } = what {
        *row = decision;
    }
}

fn row_of(stage: StageName, row: Row) -> impl Fn(&Entry) -> bool {
    move |entry| matches!(&entry.what, What::Row { stage: of, row: it, .. } if *of == stage && *it == row)
}

fn find(trace: &[Entry], is_it: impl Fn(&Entry) -> bool) -> usize {
    trace.iter().position(is_it).expect("the run has such an entry")
}

/// A row of the validator, and the first publication of its event.
fn validated(trace: &[Entry]) -> (usize, usize) {
    let row = find(trace, row_of(StageName::Validator, Row::Accepted));
    let order = &trace[row].order;
    let is_it = |entry: &Entry| {
        let event = EventType::OrderValidated;
        let is_published = matches!(&entry.what, What::Published { event: it, .. } if *it == event);
        entry.order == *order && is_published
    };
    (row, row + find(&trace[row..], is_it))
}

/// Inserts a changed copy of such a row after it, at the same time.
fn again(trace: &mut Vec<Entry>, stage: StageName, row: Row, change: impl Fn(&mut What)) {
    let position = find(trace, row_of(stage, row));
    let mut entry = trace[position].clone();
    entry.from = entry.to;
    change(&mut entry.what);
    trace.insert(position + 1, entry);
}

/// Without the bytes of the event.
fn brief(deviation: &Deviation) -> String {
    let Deviation { position, kind, allowed, .. } = deviation;
    format!("{kind:?} at entry {position}; allowed: {allowed:?}")
}
