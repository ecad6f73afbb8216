//! The harness: a broker, a fake Invoke API with one function, and mappings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use emulator::broker::Broker;
use emulator::event_source_mapping::EventSourceMapping;
use emulator::filter_criteria::FilterCriteria;
use emulator::invoke::InvokeClient;
use emulator::template::{FunctionName, Mapping, StartingPosition, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const TOPIC: &str = "source";
pub(crate) const DEAD_LETTERS: &str = "dead-letters";
pub(crate) const PARTITIONS: i32 = 3;

const MAX_KEY: usize = 100;

/// The response of the fake function to a batch.
type Behaviour = Box<dyn Fn(&[Item]) -> Reply + Send + Sync>;

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) partition: i64,
    pub(crate) offset: i64,
    pub(crate) text: String,
}

pub(crate) enum Reply {
    Response(Value),
    FunctionError,
    Throttled,
}

/// The fake function, with the batches that it has received.
pub(crate) struct Function {
    behaviour: Behaviour,
    received: Mutex<Vec<Vec<Item>>>,
}

impl Function {
    pub(crate) fn batches(&self) -> Vec<Vec<Item>> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.batches().into_iter().flatten().map(|item| item.text).collect()
    }
}

async fn invoked(State(function): State<Arc<Function>>, event: Bytes) -> Response {
    assert!(event.len() <= 6 * 1024 * 1024, "{} bytes", event.len());
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["eventSource"], "aws:kafka");
    let records = event["records"].as_object().unwrap();
    let items: Vec<Item> = records
        .values()
        .flat_map(|records| records.as_array().unwrap())
        .map(|record| Item {
            partition: record["partition"].as_i64().unwrap(),
            offset: record["offset"].as_i64().unwrap(),
            text: String::from_utf8(
                BASE64_STANDARD.decode(record["value"].as_str().unwrap()).unwrap(),
            )
            .unwrap(),
        })
        .collect();
    function.received.lock().unwrap().push(items.clone());
    match (function.behaviour)(&items) {
        Reply::Response(response) => response.to_string().into_response(),
        Reply::FunctionError => {
            let body = json!({ "errorType": "Test", "errorMessage": "as requested" }).to_string();
            ([("x-amz-function-error", "Unhandled")], body).into_response()
        }
        Reply::Throttled => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}

pub(crate) struct Harness {
    pub(crate) broker: Broker,
    pub(crate) function: Arc<Function>,
    invoke: InvokeClient,
    server: JoinHandle<()>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Harness {
    pub(crate) async fn start(
        behaviour: impl Fn(&[Item]) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let broker = Broker::embedded().unwrap();
        let topic = |name: &str, partitions| Topic {
            name: name.to_owned(),
            partitions,
            replication_factor: 1,
            configs: vec![],
        };
        broker.create_topics(&[topic(TOPIC, PARTITIONS), topic(DEAD_LETTERS, 1)]).await.unwrap();
        let function =
            Arc::new(Function { behaviour: Box::new(behaviour), received: Mutex::default() });
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoked))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&function));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let invoke = InvokeClient::new(&format!("http://{}", listener.local_addr().unwrap()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { broker, function, invoke, server }
    }

    pub(crate) async fn map(&self, mapping: Mapping) -> EventSourceMapping {
        let servers = self.broker.bootstrap_servers();
        EventSourceMapping::start(mapping, servers, self.invoke.clone(), 2).await.unwrap()
    }

    /// Writes texts to the given partitions, each with its beginning as the key.
    pub(crate) async fn write(&self, texts: &[(i32, String)]) {
        self.write_with(&[], texts).await;
    }

    /// As [`Self::write`], with these settings of the producer.
    pub(crate) async fn write_with(&self, settings: &[(&str, &str)], texts: &[(i32, String)]) {
        let producer = self.producer(settings);
        let sends = texts.iter().map(|(partition, text)| {
            let key = &text[..text.len().min(MAX_KEY)];
            let record = FutureRecord::to(TOPIC).partition(*partition).key(key).payload(text);
            producer.send_result(record).ok().unwrap()
        });
        let sends: Vec<_> = sends.collect();
        for sent in sends {
            sent.await.unwrap().unwrap();
        }
    }

    /// Writes a text with a producer's timestamp, in milliseconds since the epoch. For 0 the client
    /// uses the current time.
    pub(crate) async fn write_at(&self, timestamp_ms: i64, text: &str) {
        let record = FutureRecord::to(TOPIC).partition(0).key(text).payload(text);
        let producer = self.producer(&[]);
        producer.send(record.timestamp(timestamp_ms), Duration::from_secs(10)).await.unwrap();
    }

    fn producer(&self, settings: &[(&str, &str)]) -> FutureProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.broker.bootstrap_servers()).set("linger.ms", "0");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap()
    }

    /// The committed offsets by partition, without those that have none.
    pub(crate) async fn committed(&self) -> BTreeMap<i32, i64> {
        let servers = self.broker.bootstrap_servers().to_owned();
        let fetched = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", servers)
                .set("group.id", "group")
                .create()
                .unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_range(TOPIC, 0, PARTITIONS - 1);
            let committed = consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
            let offsets =
                committed.elements().into_iter().filter_map(|element| match element.offset() {
                    Offset::Offset(offset) => Some((element.partition(), offset)),
                    _ => None,
                });
            offsets.collect()
        });
        fetched.await.unwrap()
    }

    pub(crate) async fn until_committed(&self, offsets: &BTreeMap<i32, i64>) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while self.committed().await != *offsets {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.unwrap();
    }
}

pub(crate) fn mapping() -> Mapping {
    Mapping {
        logical_id: "TestMapping".to_owned(),
        function: FunctionName { binary: "test".to_owned(), logical_id: "Test".to_owned() },
        topic: TOPIC.to_owned(),
        consumer_group: "group".to_owned(),
        starting_position: StartingPosition::TrimHorizon,
        filters: FilterCriteria::default(),
        batch_size: 10,
        window: Duration::ZERO,
        reports_item_failures: true,
        bisects_on_error: true,
        maximum_retries: Some(2),
        maximum_record_age: None,
        on_failure_topic: Some(DEAD_LETTERS.to_owned()),
    }
}

pub(crate) fn in_one_partition(texts: &[&str]) -> Vec<(i32, String)> {
    texts.iter().map(|text| (0, (*text).to_owned())).collect()
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
}

pub(crate) fn success() -> Reply {
    Reply::Response(json!({ "batchItemFailures": [] }))
}

/// Fails if a record of the batch is `failing`.
pub(crate) fn fails_on_failing(items: &[Item]) -> Reply {
    if items.iter().any(|item| item.text == "failing") { Reply::FunctionError } else { success() }
}

pub(crate) fn failures(items: &[&Item]) -> Reply {
    let failures: Vec<_> = items
        .iter()
        .map(|item| {
            let partition = format!("{TOPIC}-{}", item.partition);
            json!({ "itemIdentifier": { "partition": partition, "offset": item.offset } })
        })
        .collect();
    Reply::Response(json!({ "batchItemFailures": failures }))
}
