//! How many invocations of one function run at a time, and which one is next.
//!
//! Requests of the HTTP API have a limit of their own, so that they never hold up the records that
//! bring an order to its end. Requests that wait for that end have another, so that they never hold
//! up other requests. They are throttled beyond it, as Lambda throttles, because a queue of waits
//! would outlast its clients.

use std::collections::VecDeque;

use axum::body::Bytes;
use tokio::sync::oneshot;

use super::failure::Failure;

/// Concurrent requests, and concurrent waits, for each concurrent other invocation. In AWS every
/// invocation has its own environment.
const REQUESTS_FOR_EACH: usize = 4;

/// What an invocation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// The HTTP API.
    Requests,
    /// The HTTP API, for a client that waits for an order's end.
    Waits,
    /// A mapping, or somebody at the Invoke API.
    Others,
}

/// An event that waits for a process, and whoever waits for its answer.
pub(super) struct Invocation {
    pub(super) lane: Lane,
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) answer: oneshot::Sender<Result<Bytes, Failure>>,
}

/// No process is left for an invocation of this lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Throttled;

/// Everything that runs or waits.
pub(super) struct Lanes {
    requests: Traffic,
    waits: Traffic,
    others: Traffic,
}

struct Traffic {
    limit: usize,
    running: usize,
    waiting: VecDeque<Invocation>,
}

impl Traffic {
    const fn new(limit: usize) -> Self {
        Self { limit, running: 0, waiting: VecDeque::new() }
    }
}

impl Lanes {
    /// Lanes for this many invocations at a time that are no requests.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            requests: Traffic::new(limit.saturating_mul(REQUESTS_FOR_EACH)),
            waits: Traffic::new(limit.saturating_mul(REQUESTS_FOR_EACH)),
            others: Traffic::new(limit),
        }
    }

    /// The invocation, if it may run now; `None` where it is queued.
    pub(super) fn enter(
        &mut self,
        invocation: Invocation,
    ) -> Result<Option<Invocation>, Throttled> {
        let traffic = self.traffic(invocation.lane);
        if traffic.running < traffic.limit {
            traffic.running += 1;
            return Ok(Some(invocation));
        }
        if invocation.lane == Lane::Waits {
            return Err(Throttled);
        }
        traffic.waiting.push_back(invocation);
        Ok(None)
    }

    /// The invocation that takes the place of one that has ended. Those whose callers have gone away
    /// are dropped.
    pub(super) fn leave(&mut self, lane: Lane) -> Option<Invocation> {
        let traffic = self.traffic(lane);
        let mut queued = std::iter::from_fn(|| traffic.waiting.pop_front());
        let next = queued.find(|invocation| !invocation.answer.is_closed());
        if next.is_none() {
            traffic.running = traffic.running.saturating_sub(1);
        }
        next
    }

    /// Gives up what waits.
    pub(super) fn clear(&mut self) {
        self.requests.waiting.clear();
        self.others.waiting.clear();
    }

    const fn traffic(&mut self, lane: Lane) -> &mut Traffic {
        match lane {
            Lane::Requests => &mut self.requests,
            Lane::Waits => &mut self.waits,
            Lane::Others => &mut self.others,
        }
    }
}
