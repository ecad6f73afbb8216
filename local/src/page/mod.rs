//! What does a person see of a running stack? A page with the pipeline, the orders and the failures.
//!
//! It stands in front of the HTTP API, at the same address, and is a caller of the stack like any
//! other: what it shows it reads along from the topics, and its orders go through `POST /orders`.

mod feed;
mod guard;
mod order;
mod orders;
mod pipeline;
mod routes;
mod samples;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use local::stack::Stack;
use local::tap::{Tap, TapRecord};
use rdkafka::error::KafkaError;
use tokio::sync::watch;

use crate::demo::catalogue::Catalogue;
use crate::demo::producer::Producer;
use orders::Orders;
use pipeline::Pipeline;
use samples::Samples;

/// The page.
pub(crate) struct Page {
    samples: Samples,
    orders: Mutex<Orders>,
    stack: OnceLock<Shown>,
    closed: watch::Sender<bool>,
}

/// The stack that is shown, once it is up.
struct Shown {
    pipeline: Mutex<Pipeline>,
    producer: Producer,
}

impl Page {
    pub(crate) fn new(catalogue: &Catalogue) -> Arc<Self> {
        Arc::new(Self {
            samples: Samples::of(catalogue),
            orders: Mutex::default(),
            stack: OnceLock::new(),
            closed: watch::channel(false).0,
        })
    }

    /// The page's own paths, with the HTTP API behind them.
    pub(crate) fn in_front_of(self: &Arc<Self>, api: Router) -> Router {
        routes::in_front_of(Arc::clone(self), api)
    }

    /// Shows this stack from now on; the tap is on every topic of its template.
    pub(crate) fn open(&self, stack: &Stack, tap: &Tap) -> Result<(), KafkaError> {
        let producer = Producer::new(stack.broker.bootstrap_servers())?;
        let mappings = stack.mappings.values().map(|mapping| (**mapping).clone()).collect();
        let pipeline = Mutex::new(Pipeline::new(&stack.template, mappings, tap.opened_at()));
        // A page is opened once.
        self.stack.set(Shown { pipeline, producer }).ok();
        Ok(())
    }

    /// A record was written.
    pub(crate) fn see(&self, record: &TapRecord) {
        if let Some(mut pipeline) = self.pipeline() {
            pipeline.see(record);
        }
        self.orders().see(record);
    }

    /// Ends the feeds, which would hold up the server's end.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pipeline, once the stack is up.
    fn pipeline(&self) -> Option<MutexGuard<'_, Pipeline>> {
        let stack = self.stack.get()?;
        Some(stack.pipeline.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
