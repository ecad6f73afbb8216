//! Requests about an order that is under way: its cancellation, and the recovery with the expiry.

use contracts::{EventType, StageName};

use crate::{
    mutant::Mutant,
    order::{Early, Phase, Row},
    rule::Rule,
    task::Task,
    turn::{Next, Turn},
};

/// The result of ending an order early.
enum EarlyEnd {
    Decided,
    Paid,
    Over,
}

impl Turn<'_> {
    /// Reads the order's rows.
    pub(crate) fn cancel(&mut self) -> Next {
        let is_decided = self.order.row(StageName::Payment).is_some();
        let waits = self.order.early().is_some() && !self.order.is_reserved();
        if self.order.is_over() && (!is_decided || waits) {
            return Next::Done;
        }
        // The cancellation publishes no other event.
        Next::Then(self.early_end_of(StageName::Payment))
    }

    fn early_end_of(&self, furthest: StageName) -> Phase {
        Phase::EndEarly { is_reserved: self.order.is_reserved(), furthest }
    }

    /// Reads the order's rows, and publishes its last event or lets it expire.
    pub(crate) fn recover(&mut self) -> Next {
        let Some(furthest) = self.order.furthest() else { return Next::Done };
        if self.is(Mutant::NoRecovery)
            || (self.is(Mutant::RecoverySkipsOrdersThatAreOver) && self.order.is_over())
        {
            return Next::Done;
        }
        if !self.order.is_open() {
            let is_left = self.order.is_unsettled(self.protocol.refunds_once)
                && !self.is(Mutant::RecoverySkipsUnpaidOrders);
            // The payment undoes and publishes again, and the release follows.
            return if is_left {
                Next::Then(Phase::Publish(StageName::Inventory))
            } else {
                Next::Done
            };
        }
        if self.is(Mutant::RecoveryDecides) {
            self.store(StageName::Close, Row::Closed(EventType::OrderValidationFailed));
            return Next::Done;
        }
        // An order that is decided or over when its rows are read stays as it is.
        let may_expire = self.order.row(StageName::Payment).is_none() && !self.order.is_over();
        let overwrites = self.is(Mutant::ExpiryOverwrites) && self.order.early().is_none();
        if self.protocol.expires && (may_expire || overwrites) {
            return Next::Then(self.early_end_of(furthest));
        }
        let is_ended_early = self.order.early().is_some() && self.order.is_reserved();
        Next::Then(if is_ended_early { self.early_rejection() } else { Phase::Publish(furthest) })
    }

    /// Publishes the early rejection of a reserved order. The reservation goes first: the payment
    /// that finds its own row refunds a charge.
    fn early_rejection(&self) -> Phase {
        if self.is(Mutant::EarlyEndWithoutTheReservation) {
            Phase::Publish(StageName::Payment)
        } else {
            Phase::PublishBoth
        }
    }

    /// Inserts the payment's row as a rejection, unless there is one.
    pub(crate) fn end_early(&mut self, task: Task, is_reserved: bool, furthest: StageName) -> Next {
        let early = if task == Task::Cancel { Early::Cancelled } else { Early::Expired };
        let end = self.insert_early(early);
        let at_once =
            task == Task::Recover && self.is(Mutant::RecoveryPublishesTheEarlyRejectionAtOnce);
        match (end, task) {
            (EarlyEnd::Decided, _) if is_reserved => Next::Then(self.early_rejection()),
            (EarlyEnd::Decided, _) if at_once => Next::Then(Phase::Publish(StageName::Payment)),
            (EarlyEnd::Paid, Task::Cancel) if self.is(Mutant::CancelIgnoresThePaidRow) => {
                self.confirmed()
            }
            // The payment publishes it after the reservation.
            (EarlyEnd::Decided, Task::Cancel) => self.confirmed(),
            // An expiry whose process has stopped may not have been published.
            (EarlyEnd::Over, Task::Cancel) if is_reserved && self.order.early().is_some() => {
                Next::Then(self.early_rejection())
            }
            (EarlyEnd::Paid | EarlyEnd::Over, Task::Cancel) => Next::Done,
            _ => Next::Then(Phase::Publish(furthest)),
        }
    }

    /// The client is told that the order is cancelled.
    pub(crate) fn confirmed(&mut self) -> Next {
        if self.order.early() != Some(Early::Cancelled) {
            self.order.breaks(Rule::CancellationTrue);
        }
        Next::Done
    }

    fn insert_early(&mut self, early: Early) -> EarlyEnd {
        let overwrites = match early {
            Early::Cancelled => self.is(Mutant::CancelOverwrites),
            Early::Expired => self.is(Mutant::ExpiryOverwrites),
        };
        match self.order.row(StageName::Payment) {
            Some(_) if overwrites => {}
            Some(Row::Early(found)) if found == early => return EarlyEnd::Decided,
            Some(Row::Accepted) => return EarlyEnd::Paid,
            Some(_) => return EarlyEnd::Over,
            None => {}
        }
        if early == Early::Cancelled && self.is(Mutant::CancelClosesTheOrder) {
            let end = Row::Closed(EventType::OrderPaymentFailed);
            self.store(StageName::Close, end);
            return EarlyEnd::Over;
        }
        self.store(StageName::Payment, Row::Early(early));
        EarlyEnd::Decided
    }
}
