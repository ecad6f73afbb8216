//! The queue of one function's events, and its idle slots.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::lanes::{Invocation, Lane, Lanes, Throttled};

/// The channel to a slot.
pub(super) type Address = mpsc::UnboundedSender<Invocation>;

pub(super) struct Queue(Mutex<State>);

struct State {
    lanes: Lanes,
    idle: Vec<Address>,
    closed: bool,
}

impl Queue {
    /// `limit` is for invocations that are not requests.
    pub(super) fn new(limit: usize) -> Self {
        Self(Mutex::new(State { lanes: Lanes::new(limit), idle: Vec::new(), closed: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the event to an idle slot or queues it. Returns it if it may run now but no slot is
    /// idle.
    ///
    /// # Errors
    /// [`Throttled`] if it may neither run nor be queued.
    pub(super) fn enter(&self, invocation: Invocation) -> Result<Option<Invocation>, Throttled> {
        let mut state = self.state();
        if state.closed {
            return Ok(None);
        }
        let Some(invocation) = state.lanes.enter(invocation)? else { return Ok(None) };
        // The last used slot has the warmest process.
        Ok(match state.idle.pop() {
            Some(slot) => slot.send(invocation).err().map(|error| error.0),
            None => Some(invocation),
        })
    }

    /// The next event for a slot that has finished one of this lane (`None`: it has just started).
    /// Without one the slot becomes idle.
    pub(super) fn next_or_idle(
        &self,
        finished: Option<Lane>,
        slot: &Address,
    ) -> Option<Invocation> {
        let mut state = self.state();
        let next = finished.and_then(|lane| state.lanes.leave(lane));
        if next.is_none() {
            state.idle.push(slot.clone());
        }
        next
    }

    /// Drops the queued events, and accepts no more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.lanes.clear();
    }
}
