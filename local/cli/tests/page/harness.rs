//! Test harness: the program, run as `up` with stub functions.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use reqwest::header::{HOST, ORIGIN};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::raw_batch::produce;
use super::workspace::workspace;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The program behind `cargo run -- up`.
pub(crate) struct Harness {
    pub(crate) url: String,
    kafka: String,
    http: Client,
    /// The events that the functions were invoked with.
    invoked: Arc<Mutex<Vec<Value>>>,
    /// The server of the stubs, unless the program hosts them.
    functions: Option<JoinHandle<()>>,
    /// Lines of standard output and standard error.
    printed: Arc<Mutex<Vec<String>>>,
    _program: Child,
    _workspace: TempDir,
}

impl Drop for Harness {
    fn drop(&mut self) {
        if let Some(functions) = &self.functions {
            functions.abort();
        }
    }
}

async fn invoke(State(invoked): State<Arc<Mutex<Vec<Value>>>>, event: Bytes) -> String {
    invoked.lock().unwrap().push(serde_json::from_slice(&event).unwrap());
    json!({ "statusCode": 202, "batchItemFailures": [] }).to_string()
}

impl Harness {
    /// With functions that succeed, hosted elsewhere.
    pub(crate) async fn start() -> Self {
        let invoked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .with_state(Arc::clone(&invoked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lambda = format!("http://{}", listener.local_addr().unwrap());
        let functions = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let mut up = Self::run(workspace(), ["--lambda".as_ref(), lambda.as_ref()]).await;
        up.invoked = invoked;
        up.functions = Some(functions);
        up
    }

    /// With this script as each function, hosted by the program.
    pub(crate) async fn hosting(script: &str) -> Self {
        let workspace = workspace();
        let folder = workspace.path().join("functions");
        std::fs::create_dir(&folder).unwrap();
        for name in ["validator", "inventory", "payment", "notification", "order-api"] {
            std::fs::write(folder.join(name), script).unwrap();
            let mode = Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.join(name), mode).unwrap();
        }
        Self::run(workspace, ["--function-dir".as_ref(), folder.as_ref()]).await
    }

    async fn run(workspace: TempDir, functions: [&OsStr; 2]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["up", "--port", "0"])
            .args(functions)
            .arg("--template")
            .arg(workspace.path().join("template.yaml"))
            .env_remove("KAFKA_BOOTSTRAP_SERVERS")
            .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let printed: Arc<Mutex<Vec<String>>> = Arc::default();
        let errors = BufReader::new(program.stderr.take().unwrap()).lines();
        tokio::spawn(keep(errors, Arc::clone(&printed)));
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let (mut url, mut kafka) = (String::new(), String::new());
        let up = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                match line.split_whitespace().collect::<Vec<_>>()[..] {
                    ["Page", page, ..] => url = page.trim_end_matches('/').to_owned(),
                    ["Kafka", servers, ..] => kafka = servers.to_owned(),
                    ["Orders", "that", "end", ..] => return,
                    _ => {}
                }
            }
            panic!("the program ended");
        };
        tokio::time::timeout(TIMEOUT, up).await.unwrap();
        tokio::spawn(keep(lines, Arc::clone(&printed)));
        Self {
            url,
            kafka,
            http: Client::builder().no_proxy().build().unwrap(),
            invoked: Arc::default(),
            functions: None,
            printed,
            _program: program,
            _workspace: workspace,
        }
    }

    /// Every line that the program has printed since the start was complete.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }

    /// Waits for a matching line. Returns all lines.
    pub(crate) async fn until_printed(&self, holds: impl Fn(&str) -> bool) -> Vec<String> {
        let printed = async {
            while !self.printed().iter().any(|line| holds(line)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, printed).await.unwrap();
        self.printed()
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    /// A POST of the page itself.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).header(ORIGIN, &self.url)
    }

    /// A POST of a page at this origin, with this host name.
    pub(crate) fn foreign_post(&self, path: &str, host: &str, origin: &str) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url));
        request.header(HOST, host).header(ORIGIN, origin)
    }

    pub(crate) async fn feed(&self) -> Feed {
        let response = self.get("/_page/feed").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Feed { response, unread: String::new() }
    }

    /// Waits until the full state, as a new browser gets it, matches.
    pub(crate) async fn until_state(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let state = async {
            loop {
                let state = self.feed().await.next().await;
                if holds(&state) {
                    return state;
                }
            }
        };
        tokio::time::timeout(TIMEOUT, state).await.unwrap()
    }

    /// Waits until the log of a mapping's function matches.
    pub(crate) async fn until_log(&self, mapping: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let log = async {
            loop {
                let response = self.get(&format!("/_page/mappings/{mapping}/log")).send().await;
                let log = response.unwrap().json().await.unwrap();
                if holds(&log) {
                    return log;
                }
            }
        };
        tokio::time::timeout(TIMEOUT, log).await.unwrap()
    }

    /// Writes an `OrderCreated` event.
    pub(crate) async fn create(&self, order_id: &str) -> String {
        let event = json!({
            "eventType": "OrderCreated", "orderId": order_id, "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00.000Z",
            "payload": {
                "customerId": "cust-1", "items": [{ "sku": "ITEM-A", "quantity": 2 }],
                "totalAmount": 99.98,
            },
        });
        self.write("order.created", order_id, &event.to_string()).await;
        event.to_string()
    }

    pub(crate) async fn write(&self, topic: &str, key: &str, value: &str) {
        self.send(FutureRecord::to(topic).key(key).payload(value)).await;
    }

    pub(crate) async fn write_to(&self, partition: i32, topic: &str, key: &str, value: &str) {
        self.send(FutureRecord::to(topic).partition(partition).key(key).payload(value)).await;
    }

    async fn send(&self, record: FutureRecord<'_, str, str>) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka)
            .set("partitioner", "murmur2_random")
            .create()
            .unwrap();
        producer.send(record, Timeout::Never).await.unwrap();
    }

    /// Sends a batch unchanged, without a Kafka client.
    pub(crate) async fn write_batch(&self, batch: &[u8], topic: &str, partition: i32) {
        let mut broker = TcpStream::connect(&self.kafka).await.unwrap();
        broker.write_all(&produce(topic, partition, batch)).await.unwrap();
        let mut length = [0; 4];
        broker.read_exact(&mut length).await.unwrap();
    }

    /// The values of all records that functions were invoked with, in order.
    pub(crate) fn delivered(&self) -> Vec<String> {
        let invoked = self.invoked.lock().unwrap().clone();
        let batches = invoked.iter().filter_map(|event| event["records"].as_object());
        let records =
            batches.flat_map(|batch| batch.values()).flat_map(|records| {
                records.as_array().unwrap().iter().map(|record| {
                    BASE64_STANDARD.decode(record["value"].as_str().unwrap()).unwrap()
                })
            });
        records.map(|value| String::from_utf8(value).unwrap()).collect()
    }

    /// The number of HTTP requests that functions were invoked with.
    pub(crate) fn requests(&self) -> usize {
        let invoked = self.invoked.lock().unwrap();
        invoked.iter().filter(|event| event.get("requestContext").is_some()).count()
    }
}

async fn keep(mut lines: Lines<impl AsyncBufRead + Unpin>, kept: Arc<Mutex<Vec<String>>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        kept.lock().unwrap().push(line);
    }
}

/// The event stream of one browser.
pub(crate) struct Feed {
    response: Response,
    unread: String,
}

impl Feed {
    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        let message = async {
            loop {
                if let Some((message, rest)) = self.unread.split_once("\n\n") {
                    let (message, rest) = (message.to_owned(), rest.to_owned());
                    self.unread = rest;
                    if let Some(data) = message.strip_prefix("data: ") {
                        return serde_json::from_str(data).unwrap();
                    }
                    continue;
                }
                let chunk = self.response.chunk().await.unwrap().unwrap();
                self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(TIMEOUT, message).await.unwrap()
    }

    /// Reads until the mapping with this id matches.
    pub(crate) async fn until_stage(&mut self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await;
            let topics = message["pipeline"]["topics"].as_array().cloned().unwrap_or_default();
            let mut stages = topics.iter().flat_map(|topic| topic["stages"].as_array().unwrap());
            if let Some(stage) = stages.find(|stage| stage["id"] == id && holds(stage)) {
                return stage.clone();
            }
        }
    }

    /// Reads until an order matches.
    pub(crate) async fn until_order(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await;
            let orders = message["orders"].as_array().cloned().unwrap_or_default();
            if let Some(order) = orders.into_iter().find(&holds) {
                return order;
            }
        }
    }
}
