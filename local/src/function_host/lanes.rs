//! How many invocations of one function run at a time, and which one is next?
//!
//! Requests of the HTTP API have a limit of their own, so that those which wait for an order's end
//! never hold up the records that bring it.

use std::collections::VecDeque;

use axum::body::Bytes;
use tokio::sync::oneshot;

use super::failure::Failure;

/// How many requests run at a time for each other invocation that may: in AWS, each would have an
/// environment of its own.
const REQUESTS_FOR_EACH: usize = 4;

/// What an invocation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// The HTTP API.
    Requests,
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

/// Everything that runs or waits.
pub(super) struct Lanes {
    requests: Traffic,
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
            others: Traffic::new(limit),
        }
    }

    /// The invocation, if it may run now; `None` where it has to wait.
    pub(super) fn enter(&mut self, invocation: Invocation) -> Option<Invocation> {
        let traffic = self.traffic(invocation.lane);
        if traffic.running < traffic.limit {
            traffic.running += 1;
            return Some(invocation);
        }
        traffic.waiting.push_back(invocation);
        None
    }

    /// The invocation that takes the place of one that has ended.
    pub(super) fn leave(&mut self, lane: Lane) -> Option<Invocation> {
        let traffic = self.traffic(lane);
        let next = traffic.waiting.pop_front();
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
            Lane::Others => &mut self.others,
        }
    }
}
