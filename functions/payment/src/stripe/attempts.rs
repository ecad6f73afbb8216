//! The attempts of this process: since when the outcome of an order is unknown, and whether Stripe
//! serves other orders meanwhile.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use contracts::OrderId;
use jiff::{SignedDuration, Timestamp};

/// The time after which an order whose outcome remains unknown holds up no others any longer. It is
/// longer than the short outages of a provider; the recovery tries again at later ages.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Stripe is not away if it has served another order within this time.
const SERVES_OTHERS: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The orders with an unknown outcome, each with its first attempt.
    unanswered: HashMap<OrderId, Timestamp>,
    last_answer: Option<Timestamp>,
}

impl Attempts {
    /// Begins an attempt; returns `true` if the outcome of an earlier one is unknown.
    pub(super) fn begin(&self, order_id: &OrderId, now: Timestamp) -> bool {
        let mut state = self.state();
        let is_first = !state.unanswered.contains_key(order_id);
        if is_first {
            state.unanswered.insert(order_id.clone(), now);
        }
        !is_first
    }

    pub(super) fn is_unanswered(&self, order_id: &OrderId) -> bool {
        self.state().unanswered.contains_key(order_id)
    }

    /// Stripe has done nothing.
    pub(super) fn not_done(&self, order_id: &OrderId) {
        self.state().unanswered.remove(order_id);
    }

    /// The outcome is known.
    pub(super) fn answered(&self, order_id: &OrderId, now: Timestamp) {
        let mut state = self.state();
        state.unanswered.remove(order_id);
        state.last_answer = Some(now);
    }

    /// The outcome has been unknown for too long, although Stripe serves other orders.
    pub(super) fn is_stuck(&self, order_id: &OrderId, now: Timestamp) -> bool {
        let state = self.state();
        let is_late = |since: &Timestamp| now.duration_since(*since) > GIVEN_UP_AFTER;
        let is_recent = |at| now.duration_since(at) < SERVES_OTHERS;
        state.unanswered.get(order_id).is_some_and(is_late)
            && state.last_answer.is_some_and(is_recent)
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
        attempts.answered(&ids[1], after(GIVEN_UP_AFTER));
        assert!(!attempts.is_stuck(&ids[0], after(GIVEN_UP_AFTER)), "it is not late yet");
        assert!(attempts.is_stuck(&ids[0], after(late)));
        assert!(!attempts.is_stuck(&ids[0], after(late + SERVES_OTHERS)), "Stripe may be away");
        attempts.answered(&ids[0], after(late));
        assert!(!attempts.is_stuck(&ids[0], after(late)));
    }
}
