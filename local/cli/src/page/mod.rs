//! The page of a running stack: pipeline, orders and failures.
//!
//! It is served at the address of the HTTP API and has no special access: it reads the topics, and
//! its orders go through `POST /orders`.

mod feed;
mod guard;
mod log;
mod order;
mod orders;
mod pipeline;
mod routes;
mod samples;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use emulator::stack::Stack;
use emulator::tap::{Tap, TapRecord};
use rdkafka::error::KafkaError;
use tokio::sync::watch;

use crate::fixtures::catalogue::Catalogue;
use crate::fixtures::producer::Producer;
use orders::Orders;
use pipeline::Pipeline;
use samples::Samples;

pub(crate) struct Page {
    samples: Samples,
    orders: Mutex<Orders>,
    stack: OnceLock<Shown>,
    closed: watch::Sender<bool>,
}

/// The running stack.
struct Shown {
    pipeline: Mutex<Pipeline>,
    producer: Producer,
    /// The folder of the functions' logs; `None` if the functions are hosted elsewhere.
    logs: Option<PathBuf>,
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

    /// The routes of the page and of the HTTP API.
    pub(crate) fn in_front_of(self: &Arc<Self>, api: Router) -> Router {
        routes::in_front_of(Arc::clone(self), api)
    }

    /// Shows this stack. The tap must read every topic of its template.
    pub(crate) fn open(&self, stack: &Stack, tap: &Tap) -> Result<(), KafkaError> {
        let producer = Producer::new(stack.broker.bootstrap_servers())?;
        let mappings = stack.mappings.values().map(|mapping| (**mapping).clone()).collect();
        let pipeline = Mutex::new(Pipeline::new(&stack.template, mappings, tap.opened_at()));
        let logs = stack.functions.as_ref().map(|host| host.log_dir().to_owned());
        // A page is opened once.
        self.stack.set(Shown { pipeline, producer, logs }).ok();
        Ok(())
    }

    pub(crate) fn observe(&self, record: &TapRecord) {
        if let Some(mut pipeline) = self.pipeline() {
            pipeline.observe(record);
        }
        self.orders().observe(record);
    }

    /// Ends the feeds, which would keep the server from stopping.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` until the stack is up.
    fn pipeline(&self) -> Option<MutexGuard<'_, Pipeline>> {
        let stack = self.stack.get()?;
        Some(stack.pipeline.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
