//! Exchanges between a client and the database, and their observers.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::body::Bytes;

use super::fault::Fault;
pub use crate::upstream::Reply;

/// A request and its response.
///
/// The proxy reports an exchange when it has the client's response, before it sends it. The
/// database executed the request at some moment between the two instants, so that of two exchanges
/// whose instants overlap either may have been first.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub requested_at: Instant,
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The request of the client.
    pub request: Bytes,
    /// The response of the database; `None` if it did not receive the request or did not respond.
    /// A fault of single statements withholds them from the database.
    pub executed: Option<Reply>,
    pub responded_at: Instant,
    /// The response for the client; `None` if the connection was cut instead.
    pub response: Option<Reply>,
    /// The injected fault.
    pub fault: Option<Fault>,
}

/// A request as recorded.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation, such as `PutItem`.
    pub operation: String,
    /// The request in JSON.
    pub body: String,
}

type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Observers(Arc<RwLock<Vec<Observer>>>);

impl Observers {
    pub(super) fn add(&self, observer: impl Fn(&Exchange) + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(observer));
    }

    pub(super) fn report(&self, exchange: &Exchange) {
        for observer in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            observer(exchange);
        }
    }
}

/// Counts the exchanges that are not reported yet.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// Counts an exchange until this is dropped.
    pub(super) fn begin(&self) -> impl Drop + Send + use<> {
        struct Exchanging(Arc<AtomicUsize>);
        impl Drop for Exchanging {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        Exchanging(Arc::clone(&self.0))
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// The last requests, oldest first.
#[derive(Clone)]
pub(super) struct Recording {
    limit: usize,
    requests: Arc<Mutex<VecDeque<Request>>>,
}

impl Recording {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, requests: Arc::default() }
    }

    pub(super) fn record(&self, operation: &str, body: &[u8]) {
        if self.limit == 0 {
            return;
        }
        let body = String::from_utf8_lossy(body).into_owned();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() == self.limit {
            requests.pop_front();
        }
        requests.push_back(Request { operation: operation.to_owned(), body });
    }

    pub(super) fn containing(&self, text: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|request| request.body.contains(text)).cloned().collect()
    }
}
