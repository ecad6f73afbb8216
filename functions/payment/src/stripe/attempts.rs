//! The attempts of this process: since when an order has no outcome, whether it may have been
//! charged, and whether Stripe serves other orders meanwhile.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use contracts::OrderId;
use jiff::{SignedDuration, Timestamp};

/// The time after which an order without an outcome holds up no others any longer. It is longer than
/// the short outages of a provider; the recovery tries again at later ages.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Stripe is not away if it has charged another order's card within this time.
const SERVES_OTHERS: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<OrderId, Waiting>,
    /// When Stripe last charged a card.
    last_charge: Option<Timestamp>,
}

/// An order without an outcome.
#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    /// A charge was sent whose outcome is unknown.
    is_unanswered: bool,
    /// Since then no new charge can begin.
    is_prevented_since: Option<Timestamp>,
}

impl State {
    fn wait(&mut self, order_id: &OrderId, now: Timestamp) -> &mut Waiting {
        let waiting = Waiting { since: now, is_unanswered: false, is_prevented_since: None };
        self.waiting.entry(order_id.clone()).or_insert(waiting)
    }
}

impl Attempts {
    /// Begins an attempt; returns `true` if the outcome of an earlier one is unknown.
    pub(super) fn begin(&self, order_id: &OrderId, now: Timestamp) -> bool {
        std::mem::replace(&mut self.state().wait(order_id, now).is_unanswered, true)
    }

    pub(super) fn is_unanswered(&self, order_id: &OrderId) -> bool {
        self.state().waiting.get(order_id).is_some_and(|waiting| waiting.is_unanswered)
    }

    /// Stripe has done nothing.
    pub(super) fn not_done(&self, order_id: &OrderId) {
        if let Some(waiting) = self.state().waiting.get_mut(order_id) {
            waiting.is_unanswered = false;
        }
    }

    /// The order waits as all do, not for an outcome of its own. What is known of it is kept.
    pub(super) fn all_wait(&self, order_id: &OrderId) {
        let is_known = |it: &Waiting| it.is_unanswered || it.is_prevented_since.is_some();
        self.state().waiting.retain(|id, waiting| id != order_id || is_known(waiting));
    }

    /// The order has an outcome.
    pub(super) fn answered(&self, order_id: &OrderId) {
        self.state().waiting.remove(order_id);
    }

    /// Stripe has charged a card.
    pub(super) fn charged(&self, now: Timestamp) {
        self.state().last_charge = Some(now);
    }

    /// The time for which no new charge of the order can have begun; it begins now if it has not
    /// begun.
    pub(super) fn prevented_for(&self, order_id: &OrderId, now: Timestamp) -> SignedDuration {
        let mut state = self.state();
        let since = state.wait(order_id, now).is_prevented_since.get_or_insert(now);
        now.duration_since(*since)
    }

    /// The order has had no outcome for too long, although Stripe serves others.
    pub(super) fn is_stuck(&self, order_id: &OrderId, now: Timestamp) -> bool {
        let mut state = self.state();
        let is_late = now.duration_since(state.wait(order_id, now).since) > GIVEN_UP_AFTER;
        let is_recent = |at| now.duration_since(at) < SERVES_OTHERS;
        is_late && state.last_charge.is_some_and(is_recent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_stuck_only_while_others_are_served() {
        let ids = ["ord-1", "ord-2"].map(|id| OrderId::parse(id).unwrap());
        let after = |time| Timestamp::UNIX_EPOCH + time;
        let late = GIVEN_UP_AFTER + SignedDuration::from_secs(1);
        let attempts = Attempts::default();
        assert!(!attempts.begin(&ids[0], after(SignedDuration::ZERO)));
        assert!(attempts.begin(&ids[0], after(GIVEN_UP_AFTER)));
        assert!(!attempts.is_stuck(&ids[0], after(late)), "Stripe may be away");
        attempts.answered(&ids[1]);
        assert!(!attempts.is_stuck(&ids[0], after(late)), "no card was charged");
        attempts.charged(after(GIVEN_UP_AFTER));
        assert!(!attempts.is_stuck(&ids[0], after(GIVEN_UP_AFTER)), "it is not late yet");
        assert!(attempts.is_stuck(&ids[0], after(late)));
        assert!(!attempts.is_stuck(&ids[0], after(late + SERVES_OTHERS)), "Stripe may be away");
        attempts.all_wait(&ids[0]);
        assert!(attempts.is_stuck(&ids[0], after(late)), "its outcome is unknown all the same");
        attempts.not_done(&ids[0]);
        assert!(attempts.is_stuck(&ids[0], after(late)), "it is rejected again and again");
        attempts.all_wait(&ids[0]);
        assert!(!attempts.is_stuck(&ids[0], after(late)), "it waits for what all wait for");
    }
}
