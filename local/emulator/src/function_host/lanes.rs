//! The concurrency limits and queues of one function.
//!
//! Requests of the HTTP API have their own limit, so that they never delay records. Requests that
//! wait (`Prefer: wait`) have another, so that they never delay other requests: beyond it they are
//! throttled, as Lambda does, because their clients would give up before a queue of them is empty.

use std::collections::VecDeque;

use axum::body::Bytes;
use tokio::sync::oneshot;

use super::failure::Failure;

/// Concurrent requests, and concurrent waits, per concurrent other invocation. In AWS every
/// invocation has its own environment.
const REQUESTS_PER_OTHER: usize = 4;

/// The source of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// The HTTP API.
    Requests,
    /// The HTTP API, for a client that waits for a result.
    Waits,
    /// A mapping, a schedule, or another client of the Invoke API.
    Others,
}

/// An event for a process, and the channel for its response.
pub(super) struct Invocation {
    pub(super) lane: Lane,
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) response: oneshot::Sender<Result<Bytes, Failure>>,
}

/// The lane is at its limit and does not queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Throttled;

/// The running and queued invocations of a function.
pub(super) struct Lanes {
    requests: Limiter,
    waits: Limiter,
    others: Limiter,
}

struct Limiter {
    limit: usize,
    running: usize,
    queued: VecDeque<Invocation>,
}

impl Limiter {
    const fn new(limit: usize) -> Self {
        Self { limit, running: 0, queued: VecDeque::new() }
    }
}

impl Lanes {
    /// `limit` is for invocations that are not requests.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            requests: Limiter::new(limit.saturating_mul(REQUESTS_PER_OTHER)),
            waits: Limiter::new(limit.saturating_mul(REQUESTS_PER_OTHER)),
            others: Limiter::new(limit),
        }
    }

    /// Returns the invocation if it may run now; `None` if it is queued.
    pub(super) fn enter(
        &mut self,
        invocation: Invocation,
    ) -> Result<Option<Invocation>, Throttled> {
        let limiter = self.limiter(invocation.lane);
        if limiter.running < limiter.limit {
            limiter.running += 1;
            return Ok(Some(invocation));
        }
        if invocation.lane == Lane::Waits {
            return Err(Throttled);
        }
        limiter.queued.push_back(invocation);
        Ok(None)
    }

    /// Returns the queued invocation that takes the place of a finished one; without one the place
    /// becomes free. Invocations whose callers have disconnected are dropped.
    pub(super) fn leave(&mut self, lane: Lane) -> Option<Invocation> {
        let limiter = self.limiter(lane);
        let mut queued = std::iter::from_fn(|| limiter.queued.pop_front());
        let next = queued.find(|invocation| !invocation.response.is_closed());
        if next.is_none() {
            limiter.running = limiter.running.saturating_sub(1);
        }
        next
    }

    /// Drops the queued invocations.
    pub(super) fn clear(&mut self) {
        self.requests.queued.clear();
        self.others.queued.clear();
    }

    const fn limiter(&mut self, lane: Lane) -> &mut Limiter {
        match lane {
            Lane::Requests => &mut self.requests,
            Lane::Waits => &mut self.waits,
            Lane::Others => &mut self.others,
        }
    }
}
