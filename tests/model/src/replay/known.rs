//! An order of a trace, as far as it was replayed.

use contracts::StageName;

use crate::{
    Protocol, Shared,
    order::{Order, Phase, Terms},
    protocol::Step,
    task::Task,
};

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) terms: Terms,
    pub(super) order: Order,
    /// The shared state when there was last too little stock, or money, for this order.
    pub(super) without_stock: Option<Shared>,
    pub(super) without_money: Option<Shared>,
}

impl Known {
    pub(super) fn new(terms: Terms) -> Self {
        let order = Order::new(&terms);
        Self { terms, order, without_stock: None, without_money: None }
    }

    /// It needs nothing more of what orders share.
    pub(super) fn is_served(&self) -> bool {
        let is_decided = |stage| self.order.row(stage).is_some();
        // An early payment is before the reservation.
        is_decided(StageName::Close)
            || (is_decided(StageName::Inventory) && is_decided(StageName::Payment))
    }

    pub(super) fn note_shortage(&mut self, shared: &Shared) {
        if shared.stock[self.terms.item].available < self.terms.quantity {
            self.without_stock = Some(shared.clone());
        }
        if shared.balances[self.terms.customer] < self.terms.amount {
            self.without_money = Some(shared.clone());
        }
    }

    /// A cancellation may have read the order's rows long before it inserts its own.
    pub(super) fn read_for_cancellation(&mut self, protocol: &Protocol) {
        if self.order.slot(Task::Cancel).is_due {
            let reads = Step::Perform(Task::Cancel, Phase::Start);
            // Reading changes nothing of what orders share.
            let mut nothing = Shared { stock: Vec::new(), balances: Vec::new() };
            protocol.apply(&self.terms, &mut self.order, &mut nothing, reads);
        }
    }
}
