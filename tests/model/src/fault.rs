//! The steps of the world against the protocol.

use crate::{
    mutant::Mutant,
    order::{Decided, Phase},
    outside::Key,
    task::Task,
    turn::{Next, Turn},
};

/// A step that the world makes against the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The record is delivered again, or the request is sent twice.
    Again(Task),
    /// The process is killed, or out of time.
    Stop(Task, Phase),
    /// The step is performed, and the process is killed, or is told that the step failed.
    StopAfter(Task, Phase),
    /// The process learns that its publish failed, as it did.
    PublishFails(Task, Phase),
    /// The write or the charge is performed, and its response is lost: the process tries again.
    LoseResponse(Task, Phase),
    /// The process is killed while its charge is in flight.
    StopInFlight(Phase),
    /// The mapping gives the record up, or the function. Nobody redrives it.
    GiveUp(Task),
    /// Somebody else writes the event to its topic.
    Forge(Task),
    /// The provider forgets the idempotency key.
    ForgetKey,
    /// The schedule runs the recovery while something is on its way.
    RunRecovery,
}

impl Turn<'_> {
    /// The process is gone; its record is delivered again, its request if the client repeats it.
    fn stop(&mut self, task: Task, phase: Phase) {
        self.move_on(task, phase, None);
        let again = match task {
            Task::Recover => false,
            Task::Intake | Task::Cancel => self.terms.repeats,
            _ => true,
        };
        self.order.slot_mut(task).is_due |= again;
    }

    pub(crate) fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Again(task) => self.order.slot_mut(task).is_due = true,
            Fault::Stop(task, phase) => self.stop(task, phase),
            Fault::PublishFails(task, phase) => {
                self.stop(task, phase);
                self.publish_failed(task);
            }
            Fault::StopAfter(task, phase) => {
                self.perform(task, phase);
                self.stop(task, phase);
                self.publish_failed(task);
            }
            Fault::LoseResponse(task, phase) => self.lose_response(task, phase),
            Fault::StopInFlight(phase) => {
                self.stop(Task::Charge, phase);
                self.order.payment.is_in_flight = true;
            }
            Fault::GiveUp(task) => self.order.slot_mut(task).is_due = false,
            Fault::Forge(task) => self.order.slot_mut(task).is_due = true,
            Fault::ForgetKey => {
                self.order.payment.key = Key::Free;
                self.order.payment.is_old = true;
            }
            Fault::RunRecovery => self.order.slot_mut(Task::Recover).is_due = true,
        }
    }

    /// The reaction of mutants to a failed publish.
    fn publish_failed(&mut self, task: Task) {
        if self.is(Mutant::OffsetMovedOnFailure) && task.consumes().is_some() {
            self.order.slot_mut(task).is_due = false;
            self.finish(task);
        }
        if self.is(Mutant::IntakeRowDeletedAfterFailedPublish) && task == Task::Intake {
            self.order.set_row(task.stage(), None);
        }
    }

    /// The process repeats the step, which is performed already.
    fn lose_response(&mut self, task: Task, phase: Phase) {
        let next = self.perform(task, phase);
        let repeats = match (phase, next) {
            (Phase::Start, Next::Then(Phase::Insert(decided))) => Phase::Insert(decided),
            (Phase::Start, _) => Phase::Insert(Decided::Accepted),
            _ => phase,
        };
        self.move_on(task, phase, Some(repeats));
    }
}
