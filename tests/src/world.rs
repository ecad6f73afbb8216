//! A running workflow: tests post orders, inject faults, and read the topics and tables.
//!
//! One world at a time: on real servers the worlds share topics and consumer groups.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use contracts::{EventType, Money, StoredEvent, Topic};
use emulator::{
    aws_settings::AwsSettings,
    database::Database,
    stack::{Stack, StackOptions},
    tap::{Tap, TapRecord},
};
use faults::database_proxy::DatabaseProxy;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

/// The limit for every wait of a test.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The topic of the records that were given up.
pub const DEAD_LETTERS: &str = "order.dead-letter";

/// More than any test that reads the requests sends.
const RECORDED_REQUESTS: usize = 10_000;

static ONE_WORLD: Mutex<()> = Mutex::const_new(());

/// A running workflow with a tap on all its topics.
pub struct World {
    pub stack: Stack,
    /// The proxy between the functions and their database.
    pub database: DatabaseProxy,
    tap: Tap,
    seen: Vec<TapRecord>,
    http: reqwest::Client,
    producer: FutureProducer,
    _embedded_database: Option<Database>,
    _logs: tempfile::TempDir,
    _only: MutexGuard<'static, ()>,
}

/// Changes to the template and the defaults.
#[derive(Debug, Default)]
pub struct WorldOptions<'a> {
    /// Additional environment variables of the functions.
    pub function_env: &'a [(&'a str, &'a str)],
    /// Origins whose pages may use the HTTP API.
    pub allowed_origins: &'a [&'a str],
    /// The period of every schedule.
    pub schedule_period: Option<Duration>,
    /// The maximum of processes of a function; `None` for the default.
    pub processes: Option<usize>,
    /// Texts of the template and their replacements.
    pub template_changes: &'a [(&'a str, &'a str)],
}

impl WorldOptions<'_> {
    /// A changed copy of the template, in `target` because the functions are built in its
    /// workspace; `None` without changes.
    fn changed_template(&self) -> Option<tempfile::NamedTempFile> {
        if self.template_changes.is_empty() {
            return None;
        }
        let text = std::fs::read_to_string(root().join("template.yaml"));
        let mut changed = text.expect("the template is readable");
        for (text, replacement) in self.template_changes {
            assert!(changed.contains(text), "the template has no {text:?}");
            changed = changed.replace(text, replacement);
        }
        let copy = tempfile::Builder::new().suffix(".yaml").tempfile_in(root().join("target"));
        let copy = copy.expect("a copy of the template");
        std::fs::write(copy.path(), changed).expect("the copy is written");
        Some(copy)
    }
}

/// Sends a request until its status is not 503.
async fn repeated(send: impl AsyncFn() -> (u16, Value)) -> (u16, Value) {
    let responded = async {
        loop {
            let (status, body) = send().await;
            if status != 503 {
                return (status, body);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(TIMEOUT, responded).await.expect("a response other than 503")
}

/// The workspace's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl World {
    /// Starts a workflow with its own tables, on the servers that the environment names or on
    /// embedded ones.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Like [`Self::start`], with additional environment variables of the functions.
    pub async fn start_with(function_env: &[(&str, &str)]) -> Self {
        Self::start_as(&WorldOptions { function_env, ..WorldOptions::default() }).await
    }

    /// Like [`Self::start`], with these options.
    pub async fn start_as(options: &WorldOptions<'_>) -> Self {
        let only = ONE_WORLD.lock().await;
        let aws = AwsSettings::from_environment(|name| env::var(name).ok());
        let (endpoint, embedded_database) = match env::var("AWS_ENDPOINT_URL_DYNAMODB") {
            Ok(endpoint) => (endpoint, None),
            Err(_) => {
                let database = Database::embedded(&aws, "").await.expect("the database starts");
                (database.endpoint().to_owned(), Some(database))
            }
        };
        let database = DatabaseProxy::recording(&endpoint, RECORDED_REQUESTS).await;
        let database = database.expect("the proxy starts");
        let logs = tempfile::tempdir().expect("a folder for logs");
        let changed_template = options.changed_template();
        let stack = Stack::start(StackOptions {
            template: changed_template
                .as_ref()
                .map_or_else(|| root().join("template.yaml"), |copy| copy.path().to_owned()),
            kafka: env::var("KAFKA_BOOTSTRAP_SERVERS").ok(),
            dynamodb: Some(endpoint),
            function_dynamodb: Some(database.url.clone()),
            table_prefix: format!("test-{}-", uuid::Uuid::new_v4().simple()),
            log_dir: logs.path().to_owned(),
            function_env: options
                .function_env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect(),
            allowed_origins: options.allowed_origins.iter().map(|it| (*it).to_owned()).collect(),
            schedule_period: options.schedule_period,
            processes: options.processes.unwrap_or(StackOptions::default().processes),
            aws,
            ..StackOptions::default()
        })
        .await
        .expect("the stack starts");
        let topics = Topic::ALL.iter().map(|topic| topic.name());
        let topics: Vec<_> = topics.chain([DEAD_LETTERS]).collect();
        let tap = Tap::start(&stack.broker, &topics).await.expect("the tap opens");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", stack.broker.bootstrap_servers())
            .set("linger.ms", "1")
            .create()
            .expect("a producer");
        Self {
            stack,
            database,
            tap,
            seen: Vec::new(),
            http: crate::http_client(),
            producer,
            _embedded_database: embedded_database,
            _logs: logs,
            _only: only,
        }
    }

    /// Stops the workflow gracefully.
    pub async fn stop(self) {
        self.stack.stop().await;
    }

    // Requests to the HTTP API.

    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> reqwest::Response {
        let url = format!("{}{path}", self.stack.api_url().expect("an HTTP API"));
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("a response")
    }

    /// Posts an order; returns the status and the body of the response.
    pub async fn post(&self, order: &Value, key: Option<&str>) -> (u16, Value) {
        let headers: Vec<(&str, &str)> =
            key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let response = self.request("POST", "/orders", &headers, order.to_string()).await;
        (response.status().as_u16(), response.json().await.expect("a JSON body"))
    }

    /// Posts an order that must be accepted; returns its id. As clients do, it sends the same
    /// request again after a 503, which a busy machine may cause.
    pub async fn accepted(&self, order: &Value) -> String {
        let key = uuid::Uuid::new_v4().to_string();
        let (status, body) = repeated(async || self.post(order, Some(&key)).await).await;
        assert_eq!(status, 202, "{body}");
        body["orderId"].as_str().expect("an order id").to_owned()
    }

    /// Cancels an order; returns the status and the body of the response. Like [`Self::accepted`],
    /// it sends the request again after a 503.
    pub async fn cancel(&self, order_id: &str) -> (u16, Value) {
        repeated(async || self.cancel_once(order_id).await).await
    }

    /// Sends one request to cancel an order; returns the status and the body of the response.
    pub async fn cancel_once(&self, order_id: &str) -> (u16, Value) {
        let path = format!("/orders/{order_id}/cancel");
        let response = self.request("POST", &path, &[], String::new()).await;
        (response.status().as_u16(), response.json().await.expect("a JSON body"))
    }

    /// The body of `GET /orders/{orderId}`; `None` for 404.
    pub async fn status(&self, order_id: &str) -> Option<Value> {
        self.read_status(order_id).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Self::status`]; other responses are an error, with what the function has logged.
    async fn read_status(&self, order_id: &str) -> Result<Option<Value>, String> {
        let response =
            self.request("GET", &format!("/orders/{order_id}"), &[], String::new()).await;
        match response.status().as_u16() {
            200 => Ok(Some(response.json().await.expect("a JSON body"))),
            404 => Ok(None),
            status => {
                let (body, log) = (response.text().await, self.log_tail("order-api"));
                Err(format!("GET /orders/{order_id}: status {status}: {body:?}; its log:\n{log}"))
            }
        }
    }

    /// The last lines of a function's log.
    fn log_tail(&self, function: &str) -> String {
        let functions = self.stack.functions.as_ref().expect("functions");
        let path = functions.log_dir().join(format!("{function}.log"));
        let log = std::fs::read_to_string(&path).unwrap_or_else(|error| error.to_string());
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Waits until the order has ended; returns its status. As clients do, it asks again after a
    /// server error, which a process that was killed leaves behind.
    pub async fn ended(&self, order_id: &str) -> Value {
        let mut last = String::new();
        let ended = async {
            loop {
                match self.read_status(order_id).await {
                    Ok(Some(status)) if status["status"] != "PENDING" => return status,
                    read => last = format!("{read:?}"),
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let ended = timeout(TIMEOUT, ended).await;
        ended.unwrap_or_else(|_| panic!("{order_id} has not ended: {last}"))
    }

    // Records on the topics.

    pub async fn write(&self, topic: Topic, partition: Option<i32>, key: &str, value: &[u8]) {
        let mut record = FutureRecord::to(topic.name()).key(key).payload(value);
        record.partition = partition;
        self.producer.send(record, TIMEOUT).await.expect("the record is written");
    }

    /// Writes a record with this timestamp, in milliseconds since the epoch. For 0 the client uses
    /// the current time.
    pub async fn write_at(&self, timestamp_ms: i64, topic: Topic, key: &str, value: &[u8]) {
        let record = FutureRecord::to(topic.name()).key(key).payload(value);
        let sent = self.producer.send(record.timestamp(timestamp_ms), TIMEOUT);
        sent.await.expect("the record is written");
    }

    /// Writes an event of an order with its headers, as a stage publishes it.
    pub async fn write_event(&self, event: &StoredEvent, partition: i32) {
        let headers = event.headers(event.order_id.as_str()).into_iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, it| {
            headers.insert(Header { key: it.0, value: Some(&it.1) })
        });
        let topic = event.event_type.topic().name();
        let record = FutureRecord::to(topic).partition(partition).headers(headers);
        let record = record.key(event.order_id.as_str()).payload(&event.body);
        self.producer.send(record, TIMEOUT).await.expect("the event is written");
    }

    /// Reads the topics until the condition holds; returns all records so far.
    pub async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&[TapRecord]) -> bool,
    ) -> &[TapRecord] {
        while !holds(&self.seen) {
            match timeout(TIMEOUT, self.tap.next()).await {
                Ok(Some(record)) => self.seen.push(record),
                _ => panic!("{what}: not seen among {} records", self.seen.len()),
            }
        }
        &self.seen
    }

    /// Waits until a record of the order is a dead letter.
    pub async fn until_dead_letter(&mut self, order_id: &str) {
        let is_of_order = |record: &TapRecord| {
            record.topic == DEAD_LETTERS && record.key.as_deref() == Some(order_id.as_bytes())
        };
        self.until(&format!("a dead letter of {order_id}"), |seen| seen.iter().any(is_of_order))
            .await;
    }

    /// The events of an order so far, in the order of the workflow, duplicates included.
    #[must_use]
    pub fn events(&self, order_id: &str) -> Vec<(EventType, String)> {
        let mut events: Vec<_> = self
            .seen
            .iter()
            .filter_map(event)
            .filter(|it| it.0 == order_id)
            .map(|it| (it.1, it.2))
            .collect();
        events.sort();
        events
    }

    /// The types of all events so far.
    #[must_use]
    pub fn all_events(&self) -> Vec<EventType> {
        self.seen.iter().filter_map(event).map(|it| it.1).collect()
    }

    /// The records of an order's event so far, duplicates included.
    #[must_use]
    pub fn records(&self, order_id: &str, event_type: EventType) -> Vec<&TapRecord> {
        let of_order = |record: &&TapRecord| {
            event(record).is_some_and(|it| it.0 == order_id && it.1 == event_type)
        };
        self.seen.iter().filter(of_order).collect()
    }

    /// Reads the topics until the order has this event this many times; returns its events so far.
    pub async fn until_event(
        &mut self,
        order_id: &str,
        event_type: EventType,
        times: usize,
    ) -> Vec<(EventType, String)> {
        let what = format!("{times} times {event_type} of {order_id}");
        self.until(&what, |seen| {
            let of_order = seen.iter().filter_map(event).filter(|it| it.0 == order_id);
            of_order.filter(|it| it.1 == event_type).count() >= times
        })
        .await;
        self.events(order_id)
    }

    // Items in the tables.

    /// Inserts a SKU with nothing reserved.
    pub async fn stock(&self, sku: &str, available: u32) {
        self.stock_with_reserved(sku, available, 0).await;
    }

    pub async fn stock_with_reserved(&self, sku: &str, available: u32, reserved: u32) {
        let numbers = [("available", number(available)), ("reserved", number(reserved))];
        self.put("StockTable", [("sku", text(sku))].into_iter().chain(numbers).collect()).await;
    }

    /// Waits until this much of a SKU is reserved.
    pub async fn until_reserved(&self, sku: &str, reserved: &str) {
        let reached = async {
            while self.available_and_reserved(sku).await.1 != reserved {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        timeout(TIMEOUT, reached)
            .await
            .unwrap_or_else(|_| panic!("{sku}: not {reserved} reserved"));
    }

    /// Inserts an item whose attributes are strings.
    pub async fn text_item(&self, table: &str, item: &[(&str, &str)]) {
        self.put(table, item.iter().map(|(name, value)| (*name, text(value))).collect()).await;
    }

    pub async fn account(&self, customer_id: &str, balance: &str) {
        let balance = AttributeValue::N(balance.to_owned());
        self.put("AccountsTable", [("customerId", text(customer_id)), ("balance", balance)].into())
            .await;
    }

    /// The available and the reserved quantity of a SKU.
    pub async fn available_and_reserved(&self, sku: &str) -> (String, String) {
        let item = self.get("StockTable", "sku", sku).await;
        (item["available"].as_n().unwrap().clone(), item["reserved"].as_n().unwrap().clone())
    }

    pub async fn balance(&self, customer_id: &str) -> String {
        let item = self.get("AccountsTable", "customerId", customer_id).await;
        // Databases write the same number in different ways.
        let balance = Money::from_text(item["balance"].as_n().unwrap()).expect("an amount");
        balance.decimal().normalize().to_string()
    }

    async fn put(&self, table: &str, item: HashMap<&str, AttributeValue>) {
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let put = self.stack.database.client().put_item();
        let put = put.table_name(self.stack.table(table)).set_item(Some(item));
        put.send().await.expect("the item is put");
    }

    async fn get(&self, table: &str, key: &str, value: &str) -> HashMap<String, AttributeValue> {
        let get = self.stack.database.client().get_item();
        let get =
            get.table_name(self.stack.table(table)).key(key, text(value)).consistent_read(true);
        get.send().await.expect("the item is read").item.expect("the item exists")
    }
}

/// The order id, type and body of an event.
fn event(record: &TapRecord) -> Option<(String, EventType, String)> {
    let body = String::from_utf8(record.payload.clone()?).ok()?;
    let event: Value = serde_json::from_str(&body).ok()?;
    let event_type = EventType::from_name(event["eventType"].as_str()?)?;
    Some((event["orderId"].as_str()?.to_owned(), event_type, body))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
