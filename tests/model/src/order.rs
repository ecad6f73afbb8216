//! The state of one order: its rows, and the records and requests about it.

use contracts::{EventType, StageName};
use strum::{EnumCount, VariantArray};

use crate::{outside::Payment, rule::Rule, task::Task};

/// The content of an order; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    pub is_valid: bool,
    /// An index of [`crate::Shared::stock`], and the quantity that is wanted.
    pub item: usize,
    pub quantity: i64,
    /// An index of [`crate::Shared::balances`], and the amount that is to pay.
    pub customer: usize,
    pub amount: i64,
    /// The provider outside declines the card.
    pub is_declined: bool,
    /// The client repeats a request that failed, with the same `Idempotency-Key`.
    pub repeats: bool,
    /// The client asks for the cancellation, at any time.
    pub cancels: bool,
}

/// A stored decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    Accepted,
    Rejected,
    /// The payment's rejection, decided before its turn.
    Early(Early),
    /// The end of an order, told by this event.
    Closed(EventType),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Early {
    Cancelled,
    Expired,
}

/// Where a process is with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing is read yet.
    Start,
    /// The provider outside comes next.
    Charge,
    /// The decision comes next, as a row that is inserted if there is none.
    Insert(Decided),
    /// The early rejection comes next; what was read of the order's rows before.
    EndEarly { is_reserved: bool, furthest: StageName },
    /// The refund comes next.
    Undo,
    /// The reservation comes next, and then the early rejection.
    PublishBoth,
    /// The event in the row of this stage comes next.
    Publish(StageName),
    /// Only mutants: the event that was decided, whatever is stored.
    PublishOwn(StageName),
    /// Only mutants: the effect outside of the row's transaction.
    Apply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decided {
    Accepted,
    Rejected,
}

/// A task's record or request, and the processes that are at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Slot {
    /// To be delivered: published, or given back, or requested.
    pub is_due: bool,
    /// The event was published at least once.
    pub is_known: bool,
    /// At most two at once; sorted, so that it does not matter which is which.
    pub workers: [Option<Phase>; 2],
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    rows: [Option<Row>; StageName::ALL.len()],
    slots: [Slot; Task::COUNT],
    pub payment: Payment,
    /// The recovery has published since the last row or fault.
    pub is_recovered: bool,
    /// The number of releases of its stock.
    pub releases: u8,
    /// The rules that a step has broken, one bit each.
    broken: u32,
}

impl Slot {
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.workers == [None, None]
    }

    #[must_use]
    pub fn has_room(&self) -> bool {
        self.workers.contains(&None)
    }

    pub(crate) fn replace(&mut self, from: Option<Phase>, to: Option<Phase>) {
        if let Some(worker) = self.workers.iter_mut().find(|worker| **worker == from) {
            *worker = to;
        }
        self.workers.sort_by(|left, right| right.cmp(left));
    }
}

impl Order {
    /// An order that its client is about to post.
    #[must_use]
    pub fn new(terms: &Terms) -> Self {
        let mut order = Self {
            rows: [None; StageName::ALL.len()],
            slots: [Slot::default(); Task::COUNT],
            payment: Payment::default(),
            is_recovered: false,
            releases: 0,
            broken: 0,
        };
        order.slot_mut(Task::Intake).is_due = true;
        order.slot_mut(Task::Cancel).is_due = terms.cancels;
        order
    }

    #[must_use]
    pub fn row(&self, stage: StageName) -> Option<Row> {
        self.rows[stage as usize]
    }

    pub(crate) fn set_row(&mut self, stage: StageName, row: Option<Row>) {
        self.rows[stage as usize] = row;
    }

    #[must_use]
    pub fn slot(&self, task: Task) -> &Slot {
        &self.slots[task as usize]
    }

    pub(crate) fn slot_mut(&mut self, task: Task) -> &mut Slot {
        &mut self.slots[task as usize]
    }

    /// The number of its rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    #[must_use]
    pub const fn has_broken(&self, rule: Rule) -> bool {
        self.broken & (1 << rule as u32) != 0
    }

    /// The first rule that a step has broken.
    #[must_use]
    pub fn first_broken(&self) -> Option<Rule> {
        Rule::VARIANTS.iter().copied().find(|rule| self.has_broken(*rule))
    }

    pub(crate) const fn breaks(&mut self, rule: Rule) {
        self.broken |= 1 << rule as u32;
    }
}
