//! One step of one process at one order.

use contracts::{EventType, StageName};

use crate::{
    Protocol, Shared,
    mutant::Mutant,
    order::{Decided, Order, Phase, Row, Terms},
    rule::Rule,
    task::Task,
};

/// The visible part of a step: an entry of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visible {
    Row(StageName, Row),
    Published(EventType),
}

/// The next phase of the process.
pub(crate) enum Next {
    Then(Phase),
    /// The record is done; what it was about is stored and published.
    Done,
    /// The order's rows do not confirm the record, which is done without effect.
    Unverified,
}

pub(crate) struct Turn<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) terms: &'a Terms,
    pub(crate) order: &'a mut Order,
    pub(crate) shared: &'a mut Shared,
    pub(crate) visible: Option<Visible>,
}

impl Turn<'_> {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.protocol.mutant == Some(mutant)
    }

    pub(crate) fn perform(&mut self, task: Task, phase: Phase) -> Next {
        match phase {
            Phase::Start => self.start(task),
            Phase::Charge => self.charge(),
            Phase::Insert(decided) => self.decide(task, decided),
            Phase::EndEarly { is_reserved, furthest } => {
                self.end_early(task, is_reserved, furthest)
            }
            Phase::Undo => self.undo(),
            Phase::PublishBoth => {
                self.publish(StageName::Inventory);
                Next::Then(Phase::Publish(StageName::Payment))
            }
            Phase::Publish(stage) => self.publish(stage),
            Phase::PublishOwn(_) => self.publish_own(),
            Phase::Apply => self.apply(task),
        }
    }

    fn start(&mut self, task: Task) -> Next {
        match task {
            Task::Cancel => self.cancel(),
            Task::Recover => self.recover(),
            // These decide first, which changes nothing, and then insert.
            Task::Intake => self.decide(task, Decided::Accepted),
            Task::Validate => self.decide(task, self.validated()),
            Task::Reserve => self.decide(task, Decided::Accepted),
            _ => self.look_up(task),
        }
    }

    fn validated(&self) -> Decided {
        if self.terms.is_valid { Decided::Accepted } else { Decided::Rejected }
    }

    /// Reads the own row and those that confirm the event, then decides.
    fn look_up(&mut self, task: Task) -> Next {
        let Some((stage, event)) = task.consumes() else { return Next::Done };
        let is_confirmed = self.is_confirmed(task, event);
        match self.order.row(stage) {
            // It waits for its turn, and the record may be forged.
            Some(Row::Early(_)) if !is_confirmed => Next::Unverified,
            Some(Row::Early(_)) if self.is(Mutant::ChargeInsertsOverCancellation) => {
                Next::Then(Phase::Insert(Decided::Accepted))
            }
            Some(Row::Closed(_)) if self.is(Mutant::CloseOverwrites) => {
                Next::Then(Phase::Insert(Decided::Accepted))
            }
            Some(_) if task == Task::Release && self.is(Mutant::ReleaseTwice) => {
                Next::Then(Phase::Apply)
            }
            Some(row) => self.found(stage, row, false),
            None if !is_confirmed => Next::Unverified,
            None if task == Task::Charge && self.protocol.charges_outside => {
                Next::Then(Phase::Charge)
            }
            // Without a reservation no row is stored: it would keep a later reservation forever.
            None if task == Task::Release && !self.order.is_reserved() => Next::Unverified,
            None => Next::Then(Phase::Insert(Decided::Accepted)),
        }
    }

    fn is_confirmed(&self, task: Task, event: EventType) -> bool {
        let ignores_rows = self.is(Mutant::ActsOnTheRecord)
            || (task == Task::Release && self.is(Mutant::ReleaseWithoutThePaymentRow));
        let ignores_turn = self.is(Mutant::EarlyRejectionBeforeItsTurn)
            && self.order.event(event.published_by()) == Some(event);
        ignores_rows || ignores_turn || self.order.confirms(event)
    }

    /// Goes on with a row that is stored already.
    pub(crate) fn found(&self, stage: StageName, row: Row, may_have_acted: bool) -> Next {
        let is_rejection = matches!(row, Row::Rejected | Row::Early(_));
        let may_have_acted = may_have_acted || matches!(row, Row::Early(_));
        let acts_outside = stage == StageName::Payment && self.protocol.charges_outside;
        if may_have_acted && is_rejection && acts_outside && !self.is(Mutant::NoRefund) {
            Next::Then(Phase::Undo)
        } else if self.order.event(stage).is_some() {
            Next::Then(Phase::Publish(stage))
        } else {
            Next::Done
        }
    }

    /// The row of the payment, after the provider has refused the key of its order.
    pub(crate) fn look_up_again(&self) -> Next {
        let row = self.order.row(StageName::Payment);
        row.map_or(Next::Unverified, |row| self.found(StageName::Payment, row, true))
    }

    /// Publishes the stored event; its delivery is confirmed.
    fn publish(&mut self, stage: StageName) -> Next {
        let Some(event) = self.order.event(stage) else {
            // Only where a mutant has deleted the row.
            self.order.breaks(Rule::StoredEvent);
            return Next::Done;
        };
        self.published(event, true);
        Next::Done
    }

    fn publish_own(&mut self) -> Next {
        self.order.breaks(Rule::StoredEvent);
        Next::Done
    }

    /// Puts an event on its topic, for every stage that consumes it.
    pub(crate) fn published(&mut self, event: EventType, is_stored: bool) {
        if !is_stored || !self.order.confirms(event) {
            self.order.breaks(Rule::StoredEvent);
        }
        for stage in StageName::ALL {
            if let Some(task) = Task::of(*stage, event) {
                let slot = self.order.slot_mut(task);
                (slot.is_due, slot.is_known) = (true, true);
            }
        }
        self.visible = Some(Visible::Published(event));
    }
}
