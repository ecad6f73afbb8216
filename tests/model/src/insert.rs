//! The conditional insert of a row with its effects: one transaction.

use contracts::{EventType, StageName};

use crate::{
    mutant::Mutant,
    order::{Decided, Phase, Row},
    rows::event_of,
    rule::Rule,
    task::Task,
    turn::{Next, Turn, Visible},
};

impl Turn<'_> {
    /// Inserts the row unless there is one, with its effects unless one is refused.
    pub(crate) fn decide(&mut self, task: Task, decided: Decided) -> Next {
        let stage = task.stage();
        let row = self.new_row(task, decided);
        if self.is(Mutant::PublishBeforeInsert)
            && let Some(event) = event_of(stage, row)
        {
            self.published(event, self.order.row(stage) == Some(row));
        }
        match self.order.row(stage) {
            Some(_) if self.is(Mutant::DecideAgainOnRedelivery) => {
                Next::Then(Phase::PublishOwn(stage))
            }
            Some(_) if self.is(Mutant::RetriesForever) => Next::Then(Phase::Insert(decided)),
            Some(_) if self.overwrites(task) => self.insert(task, row),
            Some(found) => {
                if self.is(Mutant::EffectOnRedelivery) {
                    self.effect(task);
                }
                self.found(stage, found, decided == Decided::Accepted)
            }
            None if decided == Decided::Accepted && !self.fits(task) => {
                if self.is(Mutant::RefusalIsNotStored) {
                    return Next::Then(Phase::PublishOwn(stage));
                }
                Next::Then(Phase::Insert(Decided::Rejected))
            }
            None => self.insert(task, row),
        }
    }

    fn overwrites(&self, task: Task) -> bool {
        self.is(Mutant::InsertWithoutCondition)
            || (task == Task::Charge && self.is(Mutant::ChargeInsertsOverCancellation))
            || (task.stage() == StageName::Close && self.is(Mutant::CloseOverwrites))
    }

    fn new_row(&self, task: Task, decided: Decided) -> Row {
        match (task.consumes(), decided) {
            (Some((StageName::Close, _)), _) if self.is(Mutant::CloseAsCompleted) => {
                Row::Closed(EventType::OrderCompleted)
            }
            (Some((StageName::Close, event)), _) => Row::Closed(event),
            (_, Decided::Accepted) => Row::Accepted,
            (_, Decided::Rejected) => Row::Rejected,
        }
    }

    fn insert(&mut self, task: Task, row: Row) -> Next {
        let stage = task.stage();
        if self.is(Mutant::DoneWithoutARow) && task == Task::Notify {
            return Next::Done;
        }
        self.store(stage, row);
        if row == Row::Accepted {
            if self.is(Mutant::EffectOutsideTheTransaction) && has_effect(task) {
                return Next::Then(Phase::Apply);
            }
            self.effect(task);
        }
        if event_of(stage, row).is_some() { Next::Then(Phase::Publish(stage)) } else { Next::Done }
    }

    /// Stores a row.
    pub(crate) fn store(&mut self, stage: StageName, row: Row) {
        if self.order.row(stage).is_some() {
            self.order.breaks(Rule::OneDecision);
        }
        self.order.set_row(stage, Some(row));
        self.order.is_recovered = false;
        self.visible = Some(Visible::Row(stage, row));
    }

    /// Only mutants: the effect after its row.
    pub(crate) fn apply(&mut self, task: Task) -> Next {
        self.effect(task);
        match task {
            Task::Release => Next::Done,
            _ => Next::Then(Phase::Publish(task.stage())),
        }
    }

    /// No effect of the task is refused.
    fn fits(&self, task: Task) -> bool {
        let stock = self.shared.stock[self.terms.item];
        match task {
            Task::Reserve if self.is(Mutant::StockGuardMissing) => true,
            Task::Reserve => stock.available >= self.terms.quantity,
            Task::Release => stock.reserved >= self.terms.quantity,
            Task::Charge if self.protocol.charges_outside => true,
            Task::Charge if self.is(Mutant::BalanceGuardMissing) => true,
            Task::Charge => self.shared.balances[self.terms.customer] >= self.terms.amount,
            _ => true,
        }
    }

    fn effect(&mut self, task: Task) {
        let (item, quantity) = (self.terms.item, self.terms.quantity);
        let stock = &mut self.shared.stock[item];
        match task {
            Task::Reserve => {
                stock.available -= quantity;
                stock.reserved += quantity;
            }
            Task::Release => {
                stock.available += quantity;
                stock.reserved -= quantity;
                self.order.releases = self.order.releases.saturating_add(1);
            }
            Task::Charge if !self.protocol.charges_outside => {
                self.shared.balances[self.terms.customer] -= self.terms.amount;
            }
            _ => {}
        }
    }
}

const fn has_effect(task: Task) -> bool {
    matches!(task, Task::Reserve | Task::Charge | Task::Release)
}
