//! The concurrency limits of one function, its queued invocations and its idle environments.
//!
//! Requests of the HTTP API have their own limit, so that they never delay records. Requests that
//! wait (`Prefer: wait`) have another, so that they never delay other requests: beyond it they are
//! throttled, as Lambda does, because their clients would give up before a queue of them is empty.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::invoke_api::Failure;

/// Concurrent requests, and concurrent waits, per concurrent other invocation. In AWS every
/// invocation has its own environment.
const REQUESTS_PER_OTHER: usize = 4;

/// The source of an invocation; each has its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvocationSource {
    /// The HTTP API.
    Http,
    /// The HTTP API, for a client that waits for a result.
    HttpWait,
    /// A mapping, a schedule, or another client of the Invoke API.
    Other,
}

/// An event for an execution environment, and the channel for its response.
pub(super) struct Invocation {
    pub(super) source: InvocationSource,
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) response: oneshot::Sender<Result<Bytes, Failure>>,
}

/// The limit of the source is reached, and its invocations are not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Throttled;

/// A caller's side of an invocation. Dropped, it takes the invocation from the queue.
pub(super) struct PendingResponse<'a> {
    pub(super) concurrency: &'a Concurrency,
    pub(super) source: InvocationSource,
    pub(super) response: oneshot::Receiver<Result<Bytes, Failure>>,
}

impl Drop for PendingResponse<'_> {
    fn drop(&mut self) {
        self.response.close();
        self.concurrency.drop_abandoned(self.source);
    }
}

/// The channel to an execution environment.
pub(super) type EnvironmentSender = mpsc::UnboundedSender<Invocation>;

/// The running and queued invocations of a function, and its idle environments.
pub(super) struct Concurrency(Mutex<State>);

struct State {
    http: Limiter,
    http_waits: Limiter,
    others: Limiter,
    idle: Vec<EnvironmentSender>,
    closed: bool,
}

struct Limiter {
    limit: usize,
    running: usize,
    queued: VecDeque<Invocation>,
}

impl Concurrency {
    /// `limit` is for invocations that are not requests.
    pub(super) const fn new(limit: usize) -> Self {
        Self(Mutex::new(State {
            http: Limiter::new(limit.saturating_mul(REQUESTS_PER_OTHER)),
            http_waits: Limiter::new(limit.saturating_mul(REQUESTS_PER_OTHER)),
            others: Limiter::new(limit),
            idle: Vec::new(),
            closed: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the invocation to an idle environment or queues it. Returns it if it may run now but
    /// no environment is idle.
    ///
    /// # Errors
    /// [`Throttled`] if it may neither run nor be queued.
    pub(super) fn acquire(&self, invocation: Invocation) -> Result<Option<Invocation>, Throttled> {
        let mut state = self.state();
        if state.closed {
            return Ok(None);
        }
        let Some(invocation) = state.acquire(invocation)? else { return Ok(None) };
        // The last used environment has the warmest process.
        Ok(match state.idle.pop() {
            Some(environment) => environment.send(invocation).err().map(|error| error.0),
            None => Some(invocation),
        })
    }

    /// The next invocation for an environment that has finished one of this source (`None`: it has
    /// just started). Without one the environment becomes idle.
    pub(super) fn next_or_idle(
        &self,
        finished: Option<InvocationSource>,
        environment: &EnvironmentSender,
    ) -> Option<Invocation> {
        let mut state = self.state();
        let next = finished.and_then(|source| state.limiter(source).release());
        if next.is_none() {
            state.idle.push(environment.clone());
        }
        next
    }

    /// Drops the queued invocations of callers that have disconnected: each may hold 6 MB.
    fn drop_abandoned(&self, source: InvocationSource) {
        self.state().limiter(source).queued.retain(|invocation| !invocation.response.is_closed());
    }

    /// Drops the queued invocations, and accepts no more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.http.queued.clear();
        state.others.queued.clear();
    }
}

impl State {
    /// Returns the invocation if it may run now; `None` if it is queued.
    fn acquire(&mut self, invocation: Invocation) -> Result<Option<Invocation>, Throttled> {
        let limiter = self.limiter(invocation.source);
        if limiter.running < limiter.limit {
            limiter.running += 1;
            return Ok(Some(invocation));
        }
        if invocation.source == InvocationSource::HttpWait {
            return Err(Throttled);
        }
        limiter.queued.push_back(invocation);
        Ok(None)
    }

    const fn limiter(&mut self, source: InvocationSource) -> &mut Limiter {
        match source {
            InvocationSource::Http => &mut self.http,
            InvocationSource::HttpWait => &mut self.http_waits,
            InvocationSource::Other => &mut self.others,
        }
    }
}

impl Limiter {
    const fn new(limit: usize) -> Self {
        Self { limit, running: 0, queued: VecDeque::new() }
    }

    /// Returns the queued invocation that takes the place of a finished one; without one the place
    /// becomes free.
    fn release(&mut self) -> Option<Invocation> {
        let next = self.queued.pop_front();
        if next.is_none() {
            self.running = self.running.saturating_sub(1);
        }
        next
    }
}
