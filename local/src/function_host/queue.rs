//! Which event goes to which slot, and when?

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::lanes::{Invocation, Lane, Lanes, Throttled};

/// Where a slot takes events.
pub(super) type Address = mpsc::UnboundedSender<Invocation>;

/// The events that wait for a slot, and the slots that wait for an event.
pub(super) struct Queue(Mutex<State>);

struct State {
    lanes: Lanes,
    idle: Vec<Address>,
    closed: bool,
}

impl Queue {
    /// A queue for this many invocations at a time that are no requests.
    pub(super) fn new(limit: usize) -> Self {
        Self(Mutex::new(State { lanes: Lanes::new(limit), idle: Vec::new(), closed: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the event to an idle slot or lets it wait; hands it back where it may run now and no
    /// slot is idle.
    ///
    /// # Errors
    /// [`Throttled`] where it may neither run nor wait.
    pub(super) fn enter(&self, invocation: Invocation) -> Result<Option<Invocation>, Throttled> {
        let mut state = self.state();
        if state.closed {
            return Ok(None);
        }
        let Some(invocation) = state.lanes.enter(invocation)? else { return Ok(None) };
        // The slot that was used last has the warmest process.
        Ok(match state.idle.pop() {
            Some(slot) => slot.send(invocation).err().map(|refused| refused.0),
            None => Some(invocation),
        })
    }

    /// The next event for a slot that has finished one of this lane (`None`: it has just started),
    /// or none and the slot counts as idle.
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

    /// Gives up what waits, and takes nothing more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.lanes.clear();
    }
}
