//! Does an event-source mapping bring every record to the function, in order, as MSK's does?

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at a fault")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use local::broker::Broker;
use local::event_source_mapping::EventSourceMapping;
use local::invoke::InvokeClient;
use local::tap::Tap;
use local::template::{FunctionName, Mapping, StartingPosition, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const TOPIC: &str = "source";
const DEAD_LETTERS: &str = "dead-letters";
const PARTITIONS: i32 = 3;

/// What the pretended function does with a batch of texts.
type Behaviour = Box<dyn Fn(&[Item]) -> Reply + Send + Sync>;

#[derive(Debug, Clone)]
struct Item {
    partition: i64,
    offset: i64,
    text: String,
}

enum Reply {
    Answer(Value),
    FunctionError,
    Throttled,
}

/// A function behind a pretended Invoke API, with everything it was ever given.
struct Function {
    behaviour: Behaviour,
    seen: Mutex<Vec<Vec<Item>>>,
}

impl Function {
    fn batches(&self) -> Vec<Vec<Item>> {
        self.seen.lock().unwrap().clone()
    }

    fn texts(&self) -> Vec<String> {
        self.batches().into_iter().flatten().map(|item| item.text).collect()
    }
}

async fn invoked(State(function): State<Arc<Function>>, event: Bytes) -> Response {
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
    function.seen.lock().unwrap().push(items.clone());
    match (function.behaviour)(&items) {
        Reply::Answer(answer) => answer.to_string().into_response(),
        Reply::FunctionError => {
            let body = json!({ "errorType": "Asked", "errorMessage": "as asked" }).to_string();
            ([("x-amz-function-error", "Unhandled")], body).into_response()
        }
        Reply::Throttled => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}

struct Rig {
    broker: Broker,
    function: Arc<Function>,
    invoke: InvokeClient,
    server: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Rig {
    async fn start(behaviour: impl Fn(&[Item]) -> Reply + Send + Sync + 'static) -> Self {
        let broker = Broker::embedded().unwrap();
        let topic = |name: &str, partitions| Topic {
            name: name.to_owned(),
            partitions,
            replication_factor: 1,
        };
        broker.create_topics(&[topic(TOPIC, PARTITIONS), topic(DEAD_LETTERS, 1)]).await.unwrap();
        let function =
            Arc::new(Function { behaviour: Box::new(behaviour), seen: Mutex::default() });
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoked))
            .with_state(Arc::clone(&function));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let invoke = InvokeClient::new(&format!("http://{}", listener.local_addr().unwrap()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { broker, function, invoke, server }
    }

    async fn map(&self, mapping: Mapping) -> EventSourceMapping {
        let servers = self.broker.bootstrap_servers();
        EventSourceMapping::start(mapping, servers, self.invoke.clone(), 2).await.unwrap()
    }

    /// Writes texts, each with its key as the partition.
    async fn write(&self, texts: &[(i32, String)]) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.bootstrap_servers())
            .set("linger.ms", "0")
            .create()
            .unwrap();
        let sends = texts.iter().map(|(partition, text)| {
            let record = FutureRecord::to(TOPIC).partition(*partition).key(text).payload(text);
            producer.send_result(record).ok().unwrap()
        });
        let sends: Vec<_> = sends.collect();
        for sent in sends {
            sent.await.unwrap().unwrap();
        }
    }

    /// The committed offset of each partition, none where nothing is committed.
    async fn committed(&self) -> BTreeMap<i32, i64> {
        let servers = self.broker.bootstrap_servers().to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", servers)
                .set("group.id", "group")
                .create()
                .unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_range(TOPIC, 0, PARTITIONS - 1);
            let committed = consumer.committed_offsets(list, Duration::from_secs(5)).unwrap();
            let offsets =
                committed.elements().into_iter().filter_map(|element| match element.offset() {
                    Offset::Offset(offset) => Some((element.partition(), offset)),
                    _ => None,
                });
            offsets.collect()
        });
        asked.await.unwrap()
    }
}

fn mapping() -> Mapping {
    Mapping {
        logical_id: "TestMapping".to_owned(),
        function: FunctionName { binary: "test".to_owned(), logical_id: "Test".to_owned() },
        topic: TOPIC.to_owned(),
        consumer_group: "group".to_owned(),
        starting_position: StartingPosition::TrimHorizon,
        batch_size: 10,
        window: Duration::ZERO,
        reports_item_failures: true,
        bisects_on_error: true,
        maximum_retries: Some(2),
        maximum_record_age: None,
        on_failure_topic: Some(DEAD_LETTERS.to_owned()),
    }
}

fn in_one_partition(texts: &[&str]) -> Vec<(i32, String)> {
    texts.iter().map(|text| (0, (*text).to_owned())).collect()
}

async fn until(condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
}

fn success() -> Reply {
    Reply::Answer(json!({ "batchItemFailures": [] }))
}

fn failures(items: &[&Item]) -> Reply {
    let failures: Vec<_> = items
        .iter()
        .map(|item| {
            let partition = format!("{TOPIC}-{}", item.partition);
            json!({ "itemIdentifier": { "partition": partition, "offset": item.offset } })
        })
        .collect();
    Reply::Answer(json!({ "batchItemFailures": failures }))
}

#[tokio::test]
async fn every_record_arrives_once_and_in_the_order_of_its_partition() {
    let rig = Rig::start(|_| success()).await;
    let texts: Vec<_> = (0..600).map(|number| (number % PARTITIONS, number.to_string())).collect();
    rig.write(&texts[..300]).await;
    let mapping = rig.map(mapping()).await;
    rig.write(&texts[300..]).await;
    until(|| mapping.counts().snapshot().delivered == 600).await;
    let mut next: BTreeMap<i64, i64> = BTreeMap::new();
    for batch in rig.function.batches() {
        assert!(batch.len() <= 10);
        let partitions: BTreeSet<_> = batch.iter().map(|item| item.partition).collect();
        assert_eq!(partitions.len(), 1);
        for item in batch {
            let expected = next.entry(item.partition).or_default();
            assert_eq!(item.offset, *expected);
            *expected += 1;
        }
    }
    mapping.stop().await;
    assert_eq!(rig.committed().await, BTreeMap::from([(0, 200), (1, 200), (2, 200)]));
}

#[tokio::test]
async fn a_mapping_goes_on_where_the_last_one_stopped() {
    let rig = Rig::start(|_| success()).await;
    rig.write(&in_one_partition(&["a", "b"])).await;
    let first = rig.map(mapping()).await;
    until(|| first.counts().snapshot().delivered == 2).await;
    first.stop().await;
    rig.write(&in_one_partition(&["c"])).await;
    let second = rig.map(mapping()).await;
    until(|| second.counts().snapshot().delivered == 1).await;
    assert_eq!(rig.function.texts(), ["a", "b", "c"]);
    second.stop().await;
    let third = rig.map(mapping()).await;
    assert_eq!(third.positions()[&0], 3);
    third.stop().await;
}

#[tokio::test]
async fn a_partial_response_is_a_checkpoint() {
    let failed_once = Mutex::new(false);
    let rig = Rig::start(move |items| {
        let bad = items.iter().find(|item| item.text == "c");
        match bad {
            Some(bad) if !std::mem::replace(&mut *failed_once.lock().unwrap(), true) => {
                failures(&[bad])
            }
            _ => success(),
        }
    })
    .await;
    rig.write(&in_one_partition(&["a", "b", "c", "d"])).await;
    let mapping = rig.map(mapping()).await;
    until(|| mapping.counts().snapshot().delivered == 4).await;
    let texts = rig.function.texts();
    assert_eq!(texts.iter().filter(|text| *text == "a" || *text == "b").count(), 2);
    assert_eq!(texts[texts.len() - 2..], ["c", "d"]);
    assert_eq!(mapping.counts().snapshot().dead_lettered, 0);
    mapping.stop().await;
}

#[tokio::test]
async fn halving_isolates_the_one_bad_record_and_the_dead_letter_topic_takes_it() {
    let rig = Rig::start(|items| {
        if items.iter().any(|item| item.text == "bad") { Reply::FunctionError } else { success() }
    })
    .await;
    let mut tap = Tap::start(&rig.broker, &[DEAD_LETTERS]).await.unwrap();
    rig.write(&in_one_partition(&["a", "b", "c", "bad", "d", "e"])).await;
    let mapping = rig.map(mapping()).await;
    until(|| mapping.counts().snapshot().delivered == 5).await;
    assert_eq!(mapping.counts().snapshot().dead_lettered, 1);
    let succeeded: Vec<_> = rig
        .function
        .batches()
        .into_iter()
        .filter(|batch| batch.iter().all(|item| item.text != "bad"))
        .flatten()
        .map(|item| item.text)
        .collect();
    assert_eq!(succeeded, ["a", "b", "c", "d", "e"]);

    let letter = tap.next().await.unwrap();
    assert_eq!(letter.key.as_deref(), Some(&b"bad"[..]));
    let body: Value = serde_json::from_slice(&letter.payload.unwrap()).unwrap();
    assert_eq!(body["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(body["payload"]["records"]["source-0"][0]["value"], BASE64_STANDARD.encode("bad"));
    mapping.stop().await;
    assert_eq!(rig.committed().await, BTreeMap::from([(0, 6)]));
}

#[tokio::test]
async fn offsets_stay_where_they_are_until_the_function_succeeds() {
    let rig = Rig::start(|_| Reply::FunctionError).await;
    rig.write(&in_one_partition(&["a"])).await;
    let mapping = rig.map(Mapping { maximum_retries: None, ..mapping() }).await;
    until(|| mapping.counts().snapshot().redelivered >= 2).await;
    assert_eq!(rig.committed().await, BTreeMap::new());
    mapping.stop().await;
    assert_eq!(rig.committed().await, BTreeMap::new());
}

#[tokio::test]
async fn being_throttled_counts_as_no_attempt() {
    let refusals = Mutex::new(4);
    let rig = Rig::start(move |_| {
        let mut left = refusals.lock().unwrap();
        if *left == 0 {
            return success();
        }
        *left -= 1;
        Reply::Throttled
    })
    .await;
    rig.write(&in_one_partition(&["a"])).await;
    let mapping = rig.map(Mapping { maximum_retries: Some(0), ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    assert_eq!(mapping.counts().snapshot().dead_lettered, 0);
    mapping.stop().await;
}

#[tokio::test]
async fn a_list_of_failures_is_not_read_unless_the_mapping_says_so() {
    let rig = Rig::start(|items| failures(&items.iter().collect::<Vec<_>>())).await;
    rig.write(&in_one_partition(&["a"])).await;
    let mapping = rig.map(Mapping { reports_item_failures: false, ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    mapping.stop().await;
}

#[tokio::test]
async fn a_paused_mapping_invokes_nothing_and_then_goes_on_where_it_stopped() {
    let rig = Rig::start(|_| success()).await;
    let mapping = rig.map(mapping()).await;
    rig.write(&in_one_partition(&["a"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    mapping.pause();
    assert!(mapping.is_paused());
    rig.write(&in_one_partition(&["b", "c"])).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(rig.function.texts(), ["a"]);
    assert_eq!(mapping.positions()[&0], 1);
    assert_eq!(rig.committed().await, BTreeMap::from([(0, 1)]));
    mapping.resume();
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(rig.function.texts(), ["a", "b", "c"]);
    assert_eq!(mapping.positions()[&0], 3);
    mapping.stop().await;
}

#[tokio::test]
async fn a_batch_that_fails_is_being_retried_until_it_succeeds() {
    let works = Arc::new(Mutex::new(false));
    let works_now = Arc::clone(&works);
    let rig =
        Rig::start(move |_| if *works_now.lock().unwrap() { success() } else { Reply::Throttled })
            .await;
    rig.write(&in_one_partition(&["a", "b"])).await;
    let mapping = rig.map(mapping()).await;
    until(|| mapping.counts().snapshot().retrying > 0).await;
    assert_eq!(mapping.counts().snapshot().delivered, 0);
    *works.lock().unwrap() = true;
    until(|| mapping.counts().snapshot().delivered == 2).await;
    until(|| mapping.counts().snapshot().retrying == 0).await;
    mapping.stop().await;
}

#[tokio::test]
async fn latest_reads_only_what_is_written_from_now_on() {
    let rig = Rig::start(|_| success()).await;
    rig.write(&in_one_partition(&["old"])).await;
    let latest = Mapping { starting_position: StartingPosition::Latest, ..mapping() };
    let mapping = rig.map(latest).await;
    rig.write(&in_one_partition(&["new"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    assert_eq!(rig.function.texts(), ["new"]);
    mapping.stop().await;
}

#[tokio::test]
async fn a_window_gathers_a_batch() {
    let rig = Rig::start(|_| success()).await;
    let windowed = Mapping { window: Duration::from_secs(2), ..mapping() };
    let mapping = rig.map(windowed).await;
    for text in ["a", "b", "c"] {
        rig.write(&in_one_partition(&[text])).await;
    }
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(rig.function.batches().len(), 1);
    mapping.stop().await;
}

#[tokio::test]
async fn a_broker_that_goes_away_and_comes_back_costs_no_record() {
    let rig = Rig::start(|_| success()).await;
    let mapping = rig.map(mapping()).await;
    rig.write(&in_one_partition(&["a"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    rig.broker.mock().unwrap().broker_down(1).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.broker.mock().unwrap().broker_up(1).unwrap();
    rig.write(&in_one_partition(&["b", "c"])).await;
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(rig.function.texts(), ["a", "b", "c"]);
    mapping.stop().await;
    assert_eq!(rig.committed().await, BTreeMap::from([(0, 3)]));
}
