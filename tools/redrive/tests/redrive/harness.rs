//! Test harness: a broker, the program, dead letters, and a mapping that gives records up.

use axum::Router;
use axum::routing::post;
use emulator::broker::{self, Broker};
use emulator::event_source_mapping::EventSourceMapping;
use emulator::filter_criteria::FilterCriteria;
use emulator::invoke::InvokeClient;
use emulator::tap::{Tap, TapRecord};
use emulator::template::{FunctionName, Mapping, StartingPosition, Topic};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::Value;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::Command;

use super::messages::{bytes, message, record};

pub(crate) const CREATED: &str = "order.created";
pub(crate) const DEAD_LETTERS: &str = "order.dead-letter";
/// Topics of a stack with a prefix.
pub(crate) const PREFIXED_CREATED: &str = "blue.order.created";
pub(crate) const PREFIXED_DEAD_LETTERS: &str = "blue.order.dead-letter";
const TOPICS: [&str; 6] = [
    CREATED,
    "order.failed",
    "somebody.elses",
    DEAD_LETTERS,
    PREFIXED_CREATED,
    PREFIXED_DEAD_LETTERS,
];
const PARTITIONS: i32 = 3;

/// A broker with the topics, a tap on them, and a producer.
pub(crate) struct Harness {
    pub(crate) broker: Broker,
    tap: Tap,
    producer: FutureProducer,
    /// Counts of the records that the harness has written, and of all that it has read.
    sent: AtomicUsize,
    seen: usize,
}

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Runs a command to its end.
    pub(crate) async fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = broker::spawn(|| command.spawn()).unwrap();
        let output = tokio::time::timeout(Duration::from_secs(60), program.wait_with_output())
            .await
            .unwrap()
            .unwrap();
        Self {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The line that starts with this.
    pub(crate) fn line(&self, start: &str) -> &str {
        let mut lines = self.stdout.lines().map(str::trim);
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {self:?}"))
    }
}

impl Harness {
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

    /// `redrive` with these arguments, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
        command
            .args(arguments)
            .env_remove("KAFKA_SIGN_IN")
            .env_remove("TOPIC_PREFIX")
            .env("KAFKA_BOOTSTRAP_SERVERS", self.broker.bootstrap_servers());
        command
    }

    /// Runs `redrive` to its end.
    pub(crate) async fn redrive(&self, arguments: &[&str]) -> Output {
        Output::of(self.command(arguments)).await
    }

    /// Writes a record; returns its offset.
    pub(crate) async fn send(&self, record: FutureRecord<'_, [u8], [u8]>) -> i64 {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.producer.send(record, Timeout::Never).await.unwrap().offset
    }

    /// Writes a record; returns it in the form of a dead letter.
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

    /// Writes a dead letter with these records as a mapping does, and skips everything written so
    /// far.
    pub(crate) async fn give_up(&mut self, partition: i32, records: &[Value]) {
        self.dead_letter(partition, &bytes(&message(records))).await;
        self.skip_own().await;
    }

    /// Skips what the harness has written so far.
    pub(crate) async fn skip_own(&mut self) {
        while self.seen < self.sent.load(Ordering::Relaxed) {
            self.next().await;
        }
    }

    /// Writes a message on this partition of the dead-letter topic.
    pub(crate) async fn dead_letter(&self, partition: i32, value: &[u8]) {
        let record = FutureRecord::to(DEAD_LETTERS).partition(partition);
        self.send(record.key(&b"key"[..]).payload(value)).await;
    }

    /// The next record on any topic.
    pub(crate) async fn next(&mut self) -> TapRecord {
        self.seen += 1;
        tokio::time::timeout(Duration::from_secs(20), self.tap.next()).await.unwrap().unwrap()
    }

    /// Every record written before the call.
    pub(crate) async fn written(&mut self) -> Vec<TapRecord> {
        // Up to a mark at the end of each partition.
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

/// The values on a topic, in order.
pub(crate) fn values(records: &[TapRecord], topic: &str) -> Vec<String> {
    let records = records.iter().filter(|record| record.topic == topic);
    let values = records.map(|record| record.payload.clone().unwrap_or_default());
    values.map(|value| String::from_utf8(value).unwrap()).collect()
}

/// Runs a mapping on [`CREATED`] with a function that always fails, until it has written so many
/// messages.
pub(crate) async fn give_up(harness: &mut Harness, messages: usize) {
    let failing =
        || async { ([("x-amz-function-error", "Unhandled")], r#"{"errorType":"Requested"}"#) };
    let router = Router::new().route("/2015-03-31/functions/{function}/invocations", post(failing));
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
        filters: FilterCriteria::default(),
    };
    let servers = harness.broker.bootstrap_servers();
    let mapping = EventSourceMapping::start(mapping, servers, invoke, 1).await.unwrap();
    let mut seen = 0;
    while seen < messages {
        seen += usize::from(harness.next().await.topic == DEAD_LETTERS);
    }
    mapping.stop().await;
    server.abort();
}
