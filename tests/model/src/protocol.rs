//! The transition relation: which steps an order can make, and what each changes.

use crate::{
    fault::Fault,
    mutant::Mutant,
    order::{Order, Phase, Terms},
    rule::Rule,
    task::Task,
    turn::{Next, Turn, Visible},
};

/// A variant of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protocol {
    /// The payment charges at a provider outside the database, and not from a balance.
    pub charges_outside: bool,
    /// The recovery lets unpaid orders expire.
    pub expires: bool,
    /// The last age of the recovery is over, so that nothing repeats a refund; its own record is
    /// not given up.
    pub refunds_once: bool,
    pub mutant: Option<Mutant>,
}

/// The state that orders share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shared {
    pub stock: Vec<Stock>,
    pub balances: Vec<i64>,
}

/// An item of stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stock {
    pub available: i64,
    pub reserved: i64,
}

/// A step of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A process that is at this phase of a task performs it; at [`Phase::Start`], the record is
    /// delivered or the request arrives.
    Perform(Task, Phase),
    /// The schedule runs the recovery, because the order needs it and nothing is on its way.
    Recover,
    /// A charge in flight arrives.
    Arrive,
    Fault(Fault),
}

impl Protocol {
    /// Makes a step that [`Self::steps`] lists; what others see of it.
    pub fn apply(
        &self,
        terms: &Terms,
        order: &mut Order,
        shared: &mut Shared,
        step: Step,
    ) -> Option<Visible> {
        let mut turn = Turn { protocol: self, terms, order, shared, visible: None };
        match step {
            Step::Perform(task, phase) => turn.proceed(task, phase),
            Step::Recover => {
                turn.order.is_recovered = true;
                turn.order.slot_mut(Task::Recover).is_due = true;
            }
            Step::Arrive => {
                turn.order.payment.is_in_flight = false;
                turn.order.payment.charge(turn.terms.is_declined, self.mutant);
            }
            Step::Fault(fault) => {
                turn.order.is_recovered = false;
                turn.suffer(fault);
            }
        }
        turn.visible
    }
}

impl Turn<'_> {
    /// Performs a phase, and moves the process on.
    fn proceed(&mut self, task: Task, phase: Phase) {
        let next = self.perform(task, phase);
        let finishes_early = self.is(Mutant::DoneBeforeDelivery);
        match next {
            Next::Then(Phase::Publish(stage)) if finishes_early && task.consumes().is_some() => {
                self.move_on(task, phase, Some(Phase::Publish(stage)));
                self.finish(task);
            }
            Next::Then(then) => self.move_on(task, phase, Some(then)),
            Next::Done => {
                self.move_on(task, phase, None);
                self.finish(task);
            }
            Next::Unverified => self.move_on(task, phase, None),
        }
    }

    /// Moves a process from one phase to another; it takes a task up at its start.
    pub(crate) fn move_on(&mut self, task: Task, from: Phase, to: Option<Phase>) {
        let slot = self.order.slot_mut(task);
        if from == Phase::Start {
            slot.is_due = false;
            slot.replace(None, to);
        } else {
            slot.replace(Some(from), to);
        }
    }

    /// The offset moves past the record: its row must be stored, and its event delivered.
    pub(crate) fn finish(&mut self, task: Task) {
        if !self.order.may_be_done(task) {
            self.order.breaks(Rule::DoneAfterDelivery);
        }
    }
}
