//! Every function with the providers of the default settings, on one broker: carries orders from
//! stage to stage.

use std::collections::BTreeMap;

use emulator::broker::Broker;
use futures::future::join_all;
use serde_json::Value;

use crate::functions::FUNCTIONS;

use super::{
    case::TIMEOUT,
    delivery::{Batch, Record},
    harness::Harness,
    process::Process,
    subject::{Provider, subjects},
    topics::published,
};

/// The most records of one delivery.
const BATCH: usize = 100;

pub struct Workflow {
    broker: Broker,
    processes: BTreeMap<&'static str, Process>,
}

impl Workflow {
    pub async fn start(harness: &Harness) -> Self {
        let broker = harness.broker().await;
        let servers = (&broker, harness.database.endpoint());
        let start = async |name: &'static str| {
            (name, Process::start(harness.function(name, servers, &[], TIMEOUT)).await)
        };
        let processes = join_all(FUNCTIONS.iter().map(|spec| start(spec.name))).await;
        Self { processes: processes.into_iter().collect(), broker }
    }

    /// Posts an order, which must have an idempotency key and be accepted; returns its id. As
    /// clients do, it asks again where a broker takes long.
    pub async fn post(&self, event: &Value) -> String {
        for _ in 0..5 {
            let response = self.processes["order-api"].invoke(event).await;
            let response = response.expect("order-api responds");
            if response["statusCode"] != 503 {
                return order_id(&response);
            }
        }
        panic!("the order is not published: {event}");
    }

    /// Delivers these records, and those that follow from them, to every stage in turn, as long as
    /// `goes_on` is true for a record.
    pub async fn run(&self, records: &[Record], goes_on: impl Fn(&Record) -> bool) {
        for stage in subjects().iter().filter(|it| it.provider == Provider::None) {
            let own = self.published().await;
            let records = records.iter().chain(&own);
            let records = records.filter(|it| it.topic == stage.input && goes_on(it));
            let records: Vec<Record> = records.cloned().collect();
            for chunk in records.chunks(BATCH) {
                let batch = Batch { topic: stage.input, partitions: vec![chunk.to_vec()] };
                self.processes[stage.function].succeed(&batch).await;
            }
        }
    }

    /// All records of its broker.
    pub async fn published(&self) -> Vec<Record> {
        published(self.broker.bootstrap_servers()).await
    }
}

/// The order id of a response that accepts an order.
#[must_use]
pub fn order_id(response: &Value) -> String {
    assert_eq!(response["statusCode"], 202, "{response}");
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    body["orderId"].as_str().unwrap().to_owned()
}
