//! The state of an order by its rows: the code's `verify.rs` of the engine and `progress.rs` of order-api.

use contracts::{EventType, StageName, happy_path};

use crate::{
    order::{Early, Order, Row},
    task::Task,
};

/// The event that a row of a stage publishes; `None` for a stage that publishes nothing.
#[must_use]
pub fn event_of(stage: StageName, row: Row) -> Option<EventType> {
    let publishes = stage.spec().publishes?;
    match row {
        Row::Accepted => Some(publishes.accepted),
        Row::Rejected | Row::Early(_) => publishes.rejected,
        Row::Closed(_) => None,
    }
}

/// The row with an event; one that was decided early says why.
#[must_use]
pub fn row_of(event: EventType, early: Option<Early>) -> Row {
    match early {
        Some(early) => Row::Early(early),
        None if event.is_failure() => Row::Rejected,
        None => Row::Accepted,
    }
}

impl Order {
    /// The event in the row of a stage.
    #[must_use]
    pub fn event(&self, stage: StageName) -> Option<EventType> {
        event_of(stage, self.row(stage)?)
    }

    #[must_use]
    pub fn has_accepted(&self, stage: StageName) -> bool {
        self.row(stage) == Some(Row::Accepted)
    }

    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.has_accepted(StageName::Inventory)
    }

    #[must_use]
    pub fn early(&self) -> Option<Early> {
        match self.row(StageName::Payment) {
            Some(Row::Early(early)) => Some(early),
            _ => None,
        }
    }

    /// The payment rejects the order, early or in its turn.
    #[must_use]
    pub fn is_unpaid(&self) -> bool {
        self.event(StageName::Payment) == Some(EventType::OrderPaymentFailed)
    }

    /// The publisher's row holds this event; if it was decided early, its turn has come.
    #[must_use]
    pub fn confirms(&self, event: EventType) -> bool {
        let publisher = event.published_by();
        self.event(publisher) == Some(event) && self.has_turn(publisher)
    }

    /// An early rejection has its turn after the reservation.
    #[must_use]
    pub fn has_turn(&self, stage: StageName) -> bool {
        stage != StageName::Payment || self.early().is_none() || self.is_reserved()
    }

    /// The stage of the last published event.
    #[must_use]
    pub fn furthest(&self) -> Option<StageName> {
        let stages = happy_path().map(|spec| spec.name);
        stages.filter(|stage| self.event(*stage).is_some() && self.has_turn(*stage)).last()
    }

    /// The order is closed, or its last event ends it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let last = self.furthest().and_then(|stage| self.event(stage));
        self.row(StageName::Close).is_some() || last.is_some_and(EventType::is_terminal)
    }

    /// The recovery leads it on.
    #[must_use]
    pub fn needs_recovery(&self, refunds_once: bool) -> bool {
        self.is_open() || self.is_unsettled(refunds_once)
    }

    /// It ended unpaid, and its stock is to be released, or a charge may have to be refunded, of
    /// which no row tells.
    #[must_use]
    pub fn is_unsettled(&self, refunds_once: bool) -> bool {
        let end = self.row(StageName::Close);
        let has_refund = self.early().is_some() && !refunds_once;
        let is_left = self.row(StageName::Release).is_none() || has_refund;
        end == Some(Row::Closed(EventType::OrderPaymentFailed)) && self.is_reserved() && is_left
    }

    /// Accepted, and not closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.row(StageName::OrderApi).is_some() && self.row(StageName::Close).is_none()
    }

    /// The offset may move past the task's record: its row is stored, and its event is published;
    /// or the rows do not confirm the record, and it has no effect.
    #[must_use]
    pub fn may_be_done(&self, task: Task) -> bool {
        let Some((stage, event)) = task.consumes() else { return true };
        let is_stored = self.row(stage).is_some();
        let is_published = |event| {
            let tasks = StageName::ALL.iter().filter_map(|stage| Task::of(*stage, event));
            tasks.into_iter().any(|task| self.slot(task).is_known)
        };
        !self.confirms(event) || (is_stored && self.event(stage).is_none_or(is_published))
    }
}
