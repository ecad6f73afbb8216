//! One cell: an engine that publishes on brokers with a fault.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use contracts::{EventType, Topic};
use engine::{Context, Engine, Publisher, engine::DELIVERY_TIMEOUT, lambda_event::KafkaEvent};
use kafka::{Brokers, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use validator::Validate;
use workflow_tests::stages::{Record, Stages};

use crate::cluster::Cluster;

/// Orders of a cell; their keys are on all partitions.
const ORDERS: usize = 12;
/// Deliveries until no record may fail any more.
const DELIVERIES: usize = 4;
/// The time for one delivery: that of a function in the template.
const DEADLINE: Duration = Duration::from_secs(60);
const OUTPUT: Topic = Topic::OrderValidated;

/// Changes the brokers; returns once its effect may be over.
type Change = Arc<dyn Fn(Arc<Cluster>) -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) fault: Fault,
    /// Before the engine connects, or after it has published.
    pub(crate) is_at_start: bool,
}

pub(crate) enum Fault {
    /// Errors for the next requests of a type.
    Errors(RDKafkaApiKey, Vec<RDKafkaRespErr>),
    /// A change beside the delivery.
    Change(Change),
}

impl Cell {
    /// Runs the cell; returns how the events were published.
    pub(crate) async fn run(self, stages: &Stages) -> String {
        let cluster = Arc::new(Cluster::start(OUTPUT));
        let first = self.is_at_start.then(|| self.inject(&cluster));
        let engine = engine(stages, &cluster.servers);
        engine.warm_up().await;
        let (before, change) = match first {
            Some(first) => first,
            None => {
                let event = stages.event(Topic::OrderCreated, &self.records("before"));
                assert!(deliver(&engine, &event).await, "a delivery without a fault fails");
                self.inject(&cluster)
            }
        };
        let event = stages.event(Topic::OrderCreated, &self.records("order"));
        let mut deliveries = 1;
        while !deliver(&engine, &event).await {
            deliveries += 1;
            assert!(deliveries <= DELIVERIES, "records still fail");
            sleep(Duration::from_millis(200)).await;
        }
        change.await.expect("the change ends");
        self.check(&cluster, before, deliveries).await
    }

    /// Injects errors, or begins a change; returns the number of requests before.
    fn inject(&self, cluster: &Arc<Cluster>) -> (usize, JoinHandle<()>) {
        match &self.fault {
            Fault::Errors(key, errors) => {
                let before = cluster.requests(*key);
                cluster.reject(*key, errors);
                (before, tokio::spawn(async {}))
            }
            Fault::Change(change) => (0, tokio::spawn(change(Arc::clone(cluster)))),
        }
    }

    async fn check(&self, cluster: &Cluster, before: usize, deliveries: usize) -> String {
        if let Fault::Errors(key, errors) = &self.fault {
            let requests = cluster.requests(*key) - before;
            assert!(requests >= errors.len(), "{requests} requests for {} errors", errors.len());
            cluster.mock().clear_request_errors(*key);
        }
        let records = cluster.published(OUTPUT).await;
        let mut events = BTreeMap::new();
        for (key, value, headers) in &records {
            let content = events.entry(key).or_insert((value, headers));
            assert_eq!(*content, (value, headers), "an event has two contents");
            let has_id = headers.iter().any(|(name, value)| name == "ce_id" && !value.is_empty());
            assert!(has_id, "an event has no id");
        }
        let expected = if self.is_at_start { ORDERS } else { 2 * ORDERS };
        assert_eq!(events.len(), expected, "orders with an event");
        let duplicates = records.len() - events.len();
        // Each delivery publishes an event once.
        assert!(duplicates <= (deliveries - 1) * ORDERS, "{duplicates} duplicates");
        format!("{deliveries} deliveries, {duplicates} duplicates")
    }

    /// Records of orders of this cell.
    fn records(&self, kind: &str) -> Vec<Record> {
        let name: String =
            self.name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
        let records = (0..ORDERS).map(|number| {
            let event = json!({
                "eventType": EventType::OrderCreated.name(),
                "orderId": format!("ord-{kind}-{number}-{name}"),
                "correlationId": "corr-1", "timestamp": "2026-02-06T12:00:00Z",
                "payload": {
                    "customerId": "cust-1", "totalAmount": 1,
                    "items": [{ "sku": "A", "quantity": 1 }],
                },
            });
            Record::of(event.to_string())
        });
        records.collect()
    }
}

/// The validator's engine, as its function has it.
fn engine(stages: &Stages, servers: &str) -> Engine {
    let producer = Producer::new(&Brokers::plaintext(servers), DELIVERY_TIMEOUT);
    let publisher = Publisher::new(producer.expect("a producer"));
    let context = Context { publisher, ..stages.context.clone() };
    Engine::new(context).with(Validate { currency_decimals: 2 })
}

/// Delivers a batch; gives whether all records have succeeded.
async fn deliver(engine: &Engine, event: &str) -> bool {
    let event = KafkaEvent::read(&mut serde_json::Deserializer::from_str(event)).expect("an event");
    let response = engine.handle(&event, Instant::now() + DEADLINE).await;
    response.expect("a response").is_success()
}
