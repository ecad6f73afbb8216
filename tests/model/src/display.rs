//! The steps of a counterexample in words.

use std::fmt::{Display, Formatter, Result};

use crate::{configuration::Action, fault::Fault, order::Phase, protocol::Step, task::Task};

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "order {}: {}", self.order, self.step)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Perform(task, phase) => write!(f, "{}", At(*task, *phase)),
            Self::Recover => write!(f, "nothing is on its way: the recovery is due"),
            Self::Arrive => write!(f, "the charge in flight arrives"),
            Self::Fault(fault) => write!(f, "FAULT {fault}"),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Again(task) => write!(f, "{task:?} is delivered again"),
            Self::Stop(task, phase) => write!(f, "stopped before: {}", At(*task, *phase)),
            Self::StopAfter(task, phase) => write!(f, "stopped after: {}", At(*task, *phase)),
            Self::PublishFails(task, phase) => write!(f, "failed: {}", At(*task, *phase)),
            Self::LoseResponse(task, phase) => {
                write!(f, "response lost: {}", At(*task, *phase))
            }
            Self::StopInFlight(_) => write!(f, "stopped with the charge in flight"),
            Self::GiveUp(task) => write!(f, "{task:?} is a dead letter"),
            Self::Forge(task) => write!(f, "the event of {task:?} is forged"),
            Self::ForgetKey => write!(f, "the provider forgets the idempotency key"),
            Self::RunRecovery => write!(f, "the recovery is due"),
        }
    }
}

/// A task and its phase.
struct At(Task, Phase);

impl Display for At {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(task, phase) = self;
        match phase {
            Phase::Start => write!(f, "{task:?}: start"),
            Phase::Charge => write!(f, "{task:?}: charge outside"),
            Phase::Insert(decided) => write!(f, "{task:?}: insert {decided:?}"),
            Phase::EndEarly { is_reserved: true, .. } => {
                write!(f, "{task:?}: insert the early rejection, having read the reservation")
            }
            Phase::EndEarly { .. } => write!(f, "{task:?}: insert the early rejection"),
            Phase::Undo => write!(f, "{task:?}: use up the key, and refund"),
            Phase::PublishBoth => write!(f, "{task:?}: publish the reservation again"),
            Phase::Publish(stage) => write!(f, "{task:?}: publish the event of {stage}"),
            Phase::PublishOwn(stage) => write!(f, "{task:?}: publish an own event of {stage}"),
            Phase::Apply => write!(f, "{task:?}: apply the effect"),
        }
    }
}
