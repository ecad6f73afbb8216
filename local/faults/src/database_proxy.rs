//! A proxy in front of the functions' database: injects faults, and reports exchanges.
//!
//! Faults are injected into single requests that a test names, or by a plan with a seed. A request
//! may carry the writes of many orders; a fault for one of them affects the request or that part.

mod call;
mod exchange;
mod execution;
mod fault;
mod pending;
mod plan;
mod serve;
#[cfg(test)]
mod tests;
mod wire;

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

pub use self::{
    call::Call,
    exchange::{Exchange, Reply, Request},
    fault::{Fault, ItemRejection, Rejection},
    pending::Injected,
    plan::{Chance, FaultPlan, Rates, Rule},
};
use self::{
    exchange::{InFlight, Observers, Recording},
    execution::{Execution, Limits, lock},
    pending::{Hold, Injection, Pending},
    serve::{Proxy, serve},
};
use crate::{
    item_limit::{limited_items::Items, written_items::TableKeys},
    server::{Error, Server},
    upstream::Upstream,
};

/// Limit for a held request to be executed: its client may give up before it sends one.
const EXECUTED_TIMEOUT: Duration = Duration::from_mins(2);

pub struct DatabaseProxy {
    pub url: String,
    state: Proxy,
    _server: Server,
}

/// A withheld response, and those to the repetitions of its request; released when dropped.
pub struct HeldResponse {
    reached: oneshot::Receiver<()>,
    _release: watch::Sender<()>,
}

impl HeldResponse {
    /// Waits until the database has executed the first request; `false` if it has not within two
    /// minutes, or if the fault was removed.
    pub async fn executed(&mut self) -> bool {
        matches!(timeout(EXECUTED_TIMEOUT, &mut self.reached).await, Ok(Ok(())))
    }
}

impl DatabaseProxy {
    /// Starts a proxy in front of this database, which records no requests.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start(endpoint: &str) -> Result<Self, Error> {
        Self::recording(endpoint, 0).await
    }

    /// Starts a proxy in front of this database, which records the last requests.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn recording(endpoint: &str, limit: usize) -> Result<Self, Error> {
        let state = Proxy {
            execution: Execution { upstream: Upstream::new(endpoint)?, limits: Arc::default() },
            pending: Arc::default(),
            plan: Arc::default(),
            observers: Observers::default(),
            in_flight: InFlight::default(),
            recording: Recording::new(limit),
        };
        let app = Router::new().fallback(serve).with_state(state.clone());
        let server = Server::start(app).await?;
        Ok(Self { url: server.url.clone(), state, _server: server })
    }

    /// Calls this with every further exchange, from the task that serves it.
    pub fn observe(&self, observer: impl Fn(&Exchange) + Send + Sync + 'static) {
        self.state.observers.add(observer);
    }

    /// The number of exchanges that are not reported yet: requests that are executed, and responses
    /// that are late.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.count()
    }

    /// Withholds the response to every write that contains all these texts, until the result is
    /// dropped: a client that has waited for long enough sends its request again.
    #[must_use]
    pub fn hold_response(&self, texts: &[&str]) -> HeldResponse {
        let (reached_sender, reached) = oneshot::channel();
        let (release_sender, release) = watch::channel(());
        let hold = Hold { reached: Some(reached_sender), release };
        self.add(Pending::lasting(texts, Injection::Hold(hold)));
        HeldResponse { reached, _release: release_sender }
    }

    /// Executes the next write that contains all these texts, but responds with 500.
    pub fn lose_response(&self, texts: &[&str]) {
        self.add(Pending::once(texts, Injection::Plain(Fault::LoseResponse)));
    }

    /// Executes the next write that contains all these texts, then cuts the connection.
    pub fn cut_response(&self, texts: &[&str]) {
        self.add(Pending::once(texts, Injection::Plain(Fault::CutResponse)));
    }

    /// Throttles the next request with a write that contains all these texts.
    pub fn throttle(&self, texts: &[&str]) {
        self.add(Pending::once(texts, Injection::Plain(Fault::ThrottleRequest)));
    }

    /// Throttles the next write that contains all these texts, but not the others of its batch.
    ///
    /// A transaction is cancelled with `ThrottlingError` as that item's reason.
    pub fn throttle_item(&self, texts: &[&str]) {
        self.add(Pending::once(texts, Injection::Plain(Fault::ThrottleItem)));
    }

    /// Like [`Self::throttle_item`], for all such writes until [`Self::clear_faults`].
    pub fn keep_throttling_item(&self, texts: &[&str]) {
        self.add(Pending::lasting(texts, Injection::Plain(Fault::ThrottleItem)));
    }

    /// Injects this fault into the next so many requests that match. `matching` returns the places of
    /// the affected parts ([`Call::parts`]), none for a request that does not match.
    pub fn inject(
        &self,
        fault: Fault,
        times: usize,
        matching: impl Fn(&Call) -> Vec<usize> + Send + Sync + 'static,
    ) -> Injected {
        let pending = Pending::matching(fault, times, Box::new(matching));
        let injected = pending.injected();
        self.add(pending);
        injected
    }

    /// Injects the faults of a plan from now on, in place of those of another; pending faults come
    /// first.
    pub fn follow(&self, plan: Option<FaultPlan>) {
        *lock(&self.state.plan) = plan;
    }

    /// Enforces DynamoDB's limits for each item of these tables from now on. Returns the counts.
    pub fn limit_items(&self, keys: TableKeys) -> Items {
        let items = Items::default();
        let limits = Limits { keys, items: items.clone() };
        *lock(&self.state.execution.limits) = Some(Arc::new(limits));
        items
    }

    pub fn clear_faults(&self) {
        lock(&self.state.pending).clear();
    }

    /// The pending faults, lasting ones included.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        lock(&self.state.pending).len()
    }

    /// The recorded requests whose body contains this text.
    #[must_use]
    pub fn requests(&self, text: &str) -> Vec<Request> {
        self.state.recording.containing(text)
    }

    fn add(&self, pending: Pending) {
        lock(&self.state.pending).push(pending);
    }
}
