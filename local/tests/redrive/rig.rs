//! What the tests stand on: a broker, the program, dead letters, and a mapping that gives up.

use axum::Router;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use local::broker::Broker;
use local::event_source_mapping::EventSourceMapping;
use local::invoke::InvokeClient;
use local::tap::{Tap, TapRecord};
use local::template::{FunctionName, Mapping, StartingPosition, Topic};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::Command;

pub(crate) const CREATED: &str = "order.created";
pub(crate) const DEAD_LETTERS: &str = "order.dead-letter";
const TOPICS: [&str; 4] = [CREATED, "order.failed", "somebody.elses", DEAD_LETTERS];
const PARTITIONS: i32 = 3;

/// A broker with the topics, somebody who watches them, and a client.
pub(crate) struct Rig {
    pub(crate) broker: Broker,
    tap: Tap,
    producer: FutureProducer,
    /// Records that this rig has written, and how many of them and of others it has read again.
    sent: AtomicUsize,
    seen: usize,
}

/// What the program printed, and its exit status.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) printed: String,
    pub(crate) complained: String,
}

impl Ended {
    /// The line of the table that starts with this.
    pub(crate) fn line(&self, start: &str) -> &str {
        let mut lines = self.printed.lines().map(str::trim);
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {self:?}"))
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let broker = Broker::embedded().unwrap();
        let topics = TOPICS.map(|name| Topic {
            name: name.to_owned(),
            partitions: PARTITIONS,
            replication_factor: 1,
            configs: vec![],
        });
        broker.create_topics(&topics).await.unwrap();
        let tap = Tap::start(&broker, &TOPICS).await.unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .create()
            .unwrap();
        Self { broker, tap, producer, sent: AtomicUsize::new(0), seen: 0 }
    }

    /// The program, about to run `redrive`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command
            .arg("redrive")
            .args(arguments)
            .env_remove("KAFKA_SIGN_IN")
            .env("KAFKA_BOOTSTRAP_SERVERS", self.broker.bootstrap_servers());
        command
    }

    /// Runs `redrive` to its end.
    pub(crate) async fn redrive(&self, arguments: &[&str]) -> Ended {
        let run = self.command(arguments).output();
        let output = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
        Ended {
            status: output.status.code().unwrap(),
            printed: String::from_utf8(output.stdout).unwrap(),
            complained: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Writes a record; gives its offset.
    pub(crate) async fn send(&self, record: FutureRecord<'_, [u8], [u8]>) -> i64 {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.producer.send(record, Timeout::Never).await.unwrap().offset
    }

    /// Writes a record, and gives it as a dead letter carries it.
    pub(crate) async fn given_up(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        value: &str,
    ) -> Value {
        let written = FutureRecord::to(topic).partition(partition);
        let offset = self.send(written.key(key.as_bytes()).payload(value.as_bytes())).await;
        record(topic, partition, offset, key, value)
    }

    /// Writes a dead letter about these records, as a mapping does that gives them up, and forgets what
    /// was written so far.
    pub(crate) async fn give_up(&mut self, partition: i32, records: &[Value]) {
        self.dead_letter(partition, &bytes(&letter(records))).await;
        self.forget().await;
    }

    /// Reads what this rig has written, before the program writes anything.
    pub(crate) async fn forget(&mut self) {
        while self.seen < self.sent.load(Ordering::Relaxed) {
            self.next().await;
        }
    }

    /// Writes a dead letter, onto a partition so that its position is known.
    pub(crate) async fn dead_letter(&self, partition: i32, value: &[u8]) {
        let letter = FutureRecord::to(DEAD_LETTERS).partition(partition);
        self.send(letter.key(&b"key"[..]).payload(value)).await;
    }

    /// The next record that anybody writes.
    pub(crate) async fn next(&mut self) -> TapRecord {
        self.seen += 1;
        tokio::time::timeout(Duration::from_secs(20), self.tap.next()).await.unwrap().unwrap()
    }

    /// Every record that was written before this is called.
    pub(crate) async fn written(&mut self) -> Vec<TapRecord> {
        // Whoever has read the last record of each partition has read those before it.
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                let mark = FutureRecord::to(topic).partition(partition).payload(&b"mark"[..]);
                self.send(mark).await;
            }
        }
        let mut marks = 0;
        let mut records = Vec::new();
        while marks < TOPICS.len() * usize::try_from(PARTITIONS).unwrap() {
            let record = self.next().await;
            match record.payload.as_deref() {
                Some(b"mark") => marks += 1,
                _ => records.push(record),
            }
        }
        records
    }
}

/// The value of a dead letter with these records, as Lambda writes it.
pub(crate) fn letter(records: &[Value]) -> Value {
    let mut partitions = serde_json::Map::new();
    for record in records {
        let name = format!("{}-{}", record["topic"].as_str().unwrap(), record["partition"]);
        let list = partitions.entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(record.clone());
    }
    json!({
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:validator",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1001,
        },
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": "2026-02-06T12:00:00.000Z",
        "KafkaBatchInfo": { "batchSize": records.len() },
        "payload": { "eventSource": "aws:kafka", "records": partitions },
    })
}

pub(crate) fn record(topic: &str, partition: i32, offset: i64, key: &str, value: &str) -> Value {
    json!({
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": jiff::Timestamp::now().as_millisecond(),
        "timestampType": "CREATE_TIME",
        "key": BASE64_STANDARD.encode(key),
        "value": BASE64_STANDARD.encode(value),
        "headers": [],
    })
}

pub(crate) fn bytes(text: &Value) -> Vec<u8> {
    text.to_string().into_bytes()
}

/// The values on a topic, in the order they were written in.
pub(crate) fn values(records: &[TapRecord], topic: &str) -> Vec<String> {
    let records = records.iter().filter(|record| record.topic == topic);
    let values = records.map(|record| record.payload.clone().unwrap_or_default());
    values.map(|value| String::from_utf8(value).unwrap()).collect()
}

/// Lets a mapping give up everything on [`CREATED`], by a function that always fails.
pub(crate) async fn give_up(rig: &mut Rig, letters: usize) {
    let failed = || async { ([("x-amz-function-error", "Unhandled")], r#"{"errorType":"Asked"}"#) };
    let router = Router::new().route("/2015-03-31/functions/{function}/invocations", post(failed));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let invoke = InvokeClient::new(&format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mapping = Mapping {
        logical_id: "ValidatorMapping".to_owned(),
        function: FunctionName {
            binary: "validator".to_owned(),
            logical_id: "ValidatorFunction".to_owned(),
        },
        topic: CREATED.to_owned(),
        consumer_group: "group".to_owned(),
        starting_position: StartingPosition::TrimHorizon,
        batch_size: 10,
        window: Duration::ZERO,
        reports_item_failures: true,
        bisects_on_error: true,
        maximum_retries: Some(1),
        maximum_record_age: None,
        on_failure_topic: Some(DEAD_LETTERS.to_owned()),
    };
    let servers = rig.broker.bootstrap_servers();
    let mapping = EventSourceMapping::start(mapping, servers, invoke, 1).await.unwrap();
    let mut seen = 0;
    while seen < letters {
        seen += usize::from(rig.next().await.topic == DEAD_LETTERS);
    }
    mapping.stop().await;
    server.abort();
}
