//! A payment provider outside the database: it charges by an idempotency key, which is the order.

use crate::{
    mutant::Mutant,
    order::{Decided, Phase},
    rule::Rule,
    turn::{Next, Turn},
};

/// The provider's record of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Payment {
    pub charges: u8,
    pub refunds: u8,
    pub key: Key,
    /// A charge whose process was killed, and which arrives later.
    pub is_in_flight: bool,
    /// The order is so old that the provider may have forgotten its key.
    pub is_old: bool,
}

/// The idempotency key of the charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Key {
    #[default]
    Free,
    Charged,
    /// Used up by a request that changes nothing.
    UsedUp,
}

impl Payment {
    #[must_use]
    pub const fn is_charged(&self) -> bool {
        self.charges > self.refunds
    }

    /// The process looks up the order's payment before it makes one, and finds it.
    pub(crate) const fn finds_charge(&self) -> bool {
        self.is_old && self.charges > 0
    }

    /// A charge arrives at the provider; `false` if its key was used up.
    pub(crate) fn charge(&mut self, is_declined: bool, mutant: Option<Mutant>) -> bool {
        let is_first = self.key == Key::Free;
        if self.key == Key::UsedUp {
            return false;
        }
        if !is_declined && (is_first || mutant == Some(Mutant::ChargeWithoutIdempotencyKey)) {
            self.charges = self.charges.saturating_add(1);
        }
        self.key = Key::Charged;
        true
    }
}

impl Turn<'_> {
    /// Charges the card, unless a payment of the order is found.
    pub(crate) fn charge(&mut self) -> Next {
        let is_declined = self.terms.is_declined;
        let is_found = self.order.payment.finds_charge() && !self.is(Mutant::ChargeWithoutLookUp);
        if !is_found && !self.order.payment.charge(is_declined, self.protocol.mutant) {
            // The engine asks again until its time is up; the redelivery looks up the row.
            return self.look_up_again();
        }
        if self.order.payment.charges > 1 {
            self.order.breaks(Rule::MoneyConserved);
        }
        Next::Then(Phase::Insert(if is_declined { Decided::Rejected } else { Decided::Accepted }))
    }

    /// Prevents any further charge, and refunds one that was made.
    pub(crate) fn undo(&mut self) -> Next {
        let leaves_key = self.is(Mutant::RefundLeavesTheKey);
        let payment = &mut self.order.payment;
        if payment.key == Key::Free && !leaves_key {
            payment.key = Key::UsedUp;
        }
        if payment.is_charged() {
            payment.refunds = payment.refunds.saturating_add(1);
        }
        Next::Then(Phase::Publish(contracts::StageName::Payment))
    }
}
