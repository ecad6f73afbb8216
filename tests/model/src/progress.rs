//! The rank of an order: every step makes it smaller, so every run ends.

use strum::VariantArray;

use crate::{
    order::{Order, Phase},
    task::Task,
};
use contracts::StageName;

/// The rank of an order, to be compared from left to right: the rows that are missing, the
/// recovery that is left, and the work that is on its way.
pub(crate) fn rank(order: &Order) -> (usize, bool, u32) {
    let missing = StageName::ALL.len() - order.row_count();
    let work: u32 = Task::VARIANTS.iter().map(|task| work(order, *task)).sum();
    (missing, !order.is_recovered, work + u32::from(order.payment.is_in_flight))
}

fn work(order: &Order, task: Task) -> u32 {
    let slot = order.slot(task);
    let whole = weight(task);
    let phases = slot.workers.iter().flatten();
    let working: u32 = phases.map(|phase| whole - steps_done(task, *phase)).sum();
    working + whole * u32::from(slot.is_due)
}

/// More than that of all tasks that follow from a task, and its phases.
const fn weight(task: Task) -> u32 {
    match task {
        Task::Recover => 400,
        Task::Intake => 200,
        Task::Validate => 150,
        Task::Reserve => 110,
        Task::Charge => 70,
        Task::Cancel => 150,
        Task::Notify => 30,
        _ => 10,
    }
}

const fn steps_done(task: Task, phase: Phase) -> u32 {
    use crate::order::Decided::{Accepted, Rejected};
    match phase {
        // The reservation may have been published, so that a charge follows.
        Phase::Publish(_) if matches!(task, Task::Cancel | Task::Recover) => 100,
        Phase::Start => 0,
        Phase::Charge | Phase::EndEarly { .. } => 1,
        Phase::Insert(Accepted) => 2,
        Phase::Insert(Rejected) => 3,
        Phase::Apply => 4,
        Phase::Undo | Phase::PublishBoth => 5,
        Phase::Publish(_) | Phase::PublishOwn(_) => 6,
    }
}
