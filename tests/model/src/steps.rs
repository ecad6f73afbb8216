//! The steps that an order can make.

use strum::VariantArray;

use crate::{
    Protocol,
    fault::Fault,
    order::{Order, Phase, Slot, Terms},
    outside::Key,
    protocol::Step,
    task::Task,
};

impl Protocol {
    /// The steps of an order, without those of faults.
    pub fn steps<'a>(&'a self, order: &'a Order) -> impl Iterator<Item = Step> + 'a {
        let arrives = order.payment.is_in_flight.then_some(Step::Arrive);
        let recovers =
            || order.needs_recovery(self.refunds_once) && !order.is_recovered && is_quiet(order);
        let recover = std::iter::once_with(move || recovers().then_some(Step::Recover)).flatten();
        let of_tasks = Task::VARIANTS.iter().flat_map(|task| steps_at(order, *task));
        of_tasks.chain(arrives).chain(recover)
    }

    /// The faults that an order can suffer.
    #[must_use]
    pub fn faults(&self, terms: &Terms, order: &Order) -> Vec<Fault> {
        let mut faults = Vec::new();
        for task in Task::VARIANTS {
            faults_at(self, terms, order, *task, &mut faults);
        }
        let has_charging = order.slot(Task::Charge).workers.contains(&Some(Phase::Charge));
        let payment = &order.payment;
        // A charge that is found is not made again.
        if has_charging && !payment.finds_charge() {
            faults.push(Fault::StopInFlight(Phase::Charge));
        }
        if payment.key != Key::Free && !payment.is_in_flight && !has_charging {
            faults.push(Fault::ForgetKey);
        }
        let recovery = order.slot(Task::Recover);
        if order.needs_recovery(self.refunds_once) && recovery.is_idle() && !recovery.is_due {
            faults.push(Fault::RunRecovery);
        }
        faults
    }

    /// True for a step whose result depends on what other orders share, or changes it.
    #[must_use]
    pub fn is_shared(&self, step: Step) -> bool {
        match step {
            Step::Perform(task, phase)
            | Step::Fault(Fault::StopAfter(task, phase) | Fault::LoseResponse(task, phase)) => {
                match task {
                    Task::Reserve => !matches!(phase, Phase::Publish(_) | Phase::PublishOwn(_)),
                    Task::Charge => !self.charges_outside && !matches!(phase, Phase::Publish(_)),
                    Task::Release => true,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

fn steps_at(order: &Order, task: Task) -> impl Iterator<Item = Step> {
    let slot = order.slot(task);
    let start = (slot.is_due && can_start(order, task)).then_some(Phase::Start);
    start.into_iter().chain(phases(slot)).map(move |phase| Step::Perform(task, phase))
}

/// The phases at which a process is; two at the same one count once.
fn phases(slot: &Slot) -> impl Iterator<Item = Phase> + use<> {
    let [first, second] = slot.workers;
    first.into_iter().chain(second.filter(|_| first != second))
}

fn can_start(order: &Order, task: Task) -> bool {
    let exists = order.row(contracts::StageName::OrderApi).is_some();
    order.slot(task).has_room() && (task != Task::Cancel || exists)
}

/// No record of the order is on its way, and no recovery.
fn is_quiet(order: &Order) -> bool {
    Task::VARIANTS.iter().all(|task| {
        let slot = order.slot(*task);
        let may_wait = matches!(task, Task::Intake | Task::Cancel);
        slot.is_idle() && (may_wait || !slot.is_due)
    })
}

fn faults_at(
    protocol: &Protocol,
    terms: &Terms,
    order: &Order,
    task: Task,
    faults: &mut Vec<Fault>,
) {
    let slot = order.slot(task);
    let is_sent = match task {
        Task::Intake => terms.repeats,
        Task::Cancel => terms.cancels,
        _ => slot.is_known,
    };
    if is_sent && !slot.is_due && slot.has_room() && task != Task::Recover {
        faults.push(Fault::Again(task));
    }
    let is_consumed = task.consumes().is_some();
    let is_refund = task == Task::Charge && order.early().is_some();
    if is_consumed && slot.is_due && !(protocol.refunds_once && is_refund) {
        faults.push(Fault::GiveUp(task));
    }
    if task.acts_on_stored_event() && !slot.is_known && !slot.is_due && slot.is_idle() {
        faults.push(Fault::Forge(task));
    }
    let inserts_at_once = matches!(task, Task::Intake | Task::Validate | Task::Reserve);
    if inserts_at_once && slot.is_due && can_start(order, task) {
        faults.push(Fault::LoseResponse(task, Phase::Start));
    }
    for phase in phases(slot) {
        faults.push(Fault::Stop(task, phase));
        match phase {
            Phase::Publish(_) | Phase::PublishBoth => {
                faults.push(Fault::StopAfter(task, phase));
                // The protocol treats it like a stop.
                faults.extend(protocol.mutant.map(|_| Fault::PublishFails(task, phase)));
            }
            Phase::Insert(_) | Phase::Charge | Phase::EndEarly { .. } => {
                faults.push(Fault::LoseResponse(task, phase));
            }
            _ => {}
        }
    }
}
