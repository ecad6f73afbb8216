//! The ways that an order can take through the stages.

use std::collections::BTreeMap;

use contracts::{EventType, StageName, happy_path};
use engine::{Row, RowBody};
use strum::VariantArray;

/// A way through the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub(super) enum Course {
    Completed,
    Invalid,
    OutOfStock,
    Declined,
    /// Closed before its stock is released.
    DeclinedClosedFirst,
    /// Cancelled before it is validated: its payment is decided early.
    Cancelled,
    /// Cancelled before its validation fails.
    CancelledInvalid,
    /// Cancelled before its stock turns out to be short.
    CancelledOutOfStock,
}

impl Course {
    pub(super) const ALL: &'static [Self] = Self::VARIANTS;

    /// The number of stages of the longest course.
    pub(super) fn max_steps() -> usize {
        Self::ALL.iter().map(|course| course.stages().len()).max().unwrap_or_default()
    }

    /// True if the payment is decided early.
    pub(super) fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled | Self::CancelledInvalid | Self::CancelledOutOfStock)
    }

    /// The stages that an order passes, in their order.
    pub(super) fn stages(self) -> Vec<StageName> {
        use StageName::{Close, Inventory, OrderApi, Payment, Release, Validator};
        let path = || happy_path().map(|spec| spec.name);
        let up_to = |last: StageName| path().take_while(move |stage| *stage <= last);
        let early = |last: StageName| [OrderApi, Payment].into_iter().chain(up_to(last).skip(1));
        match self {
            Self::Completed => path().chain([Close]).collect(),
            Self::Invalid => up_to(Validator).chain([Close]).collect(),
            Self::OutOfStock => up_to(Inventory).chain([Close]).collect(),
            Self::Declined => up_to(Payment).chain([Release, Close]).collect(),
            Self::DeclinedClosedFirst => up_to(Payment).chain([Close, Release]).collect(),
            Self::Cancelled => early(Inventory).chain([Release, Close]).collect(),
            Self::CancelledInvalid => early(Validator).chain([Close]).collect(),
            Self::CancelledOutOfStock => early(Inventory).chain([Close]).collect(),
        }
    }

    /// The event that this stage decides about: that of the last stage before it whose event has had
    /// its turn. The event of an early payment comes after the reservation.
    pub(super) fn input(
        self,
        stage: StageName,
        rows: &BTreeMap<StageName, Row>,
    ) -> (EventType, String) {
        let mut before = self.stages();
        before.truncate(before.iter().take_while(|it| **it != stage).count());
        before.sort_unstable();
        let is_reserved = before.contains(&StageName::Inventory)
            && !matches!(self, Self::CancelledInvalid | Self::CancelledOutOfStock);
        if self.is_cancelled() && !is_reserved {
            before.retain(|it| *it != StageName::Payment);
        }
        let mut bodies =
            before.into_iter().filter_map(|it| rows.get(&it)).filter_map(|row| match &row.body {
                RowBody::Event(event) => Some((event.event_type, event.body.clone())),
                RowBody::Data(_) => None,
            });
        bodies.next_back().expect("an event before the stage")
    }

    /// The rows of an order that has come to its end, in the order of the stages.
    pub(super) fn rows(self) -> Vec<(StageName, Option<EventType>)> {
        let is_last = |stage: StageName| Some(stage) == self.failed_stage();
        let event = |stage: StageName| {
            let publishes = stage.spec().publishes?;
            let is_early = stage == StageName::Payment && self.is_cancelled();
            if is_last(stage) || is_early { publishes.rejected } else { Some(publishes.accepted) }
        };
        let mut stages = self.stages();
        stages.sort_unstable();
        stages.into_iter().map(|stage| (stage, event(stage))).collect()
    }

    /// The stage that fails an order of this course; `None` if it completes.
    pub(super) fn failed_stage(self) -> Option<StageName> {
        match self {
            Self::Completed => None,
            Self::Invalid | Self::CancelledInvalid => Some(StageName::Validator),
            Self::OutOfStock | Self::CancelledOutOfStock => Some(StageName::Inventory),
            Self::Declined | Self::DeclinedClosedFirst | Self::Cancelled => {
                Some(StageName::Payment)
            }
        }
    }
}
