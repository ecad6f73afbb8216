//! Test harness: the program as a person runs it, with signals.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use emulator::aws_settings::AwsSettings;
use emulator::database::Database;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// The functions may have to be built first.
const START_TIMEOUT: Duration = Duration::from_secs(580);
const TIMEOUT: Duration = Duration::from_secs(60);

/// `up` with these arguments in this folder.
fn up(folder: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_local"));
    program
        .args(["up", "--port", "0"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("KAFKA_BOOTSTRAP_SERVERS")
        .env_remove("AWS_ENDPOINT_URL_DYNAMODB");
    program
}

/// The error of an `up` that cannot start.
pub(crate) async fn refused(folder: &Path, arguments: &[&str]) -> String {
    let ended = up(folder, arguments).output().await.unwrap();
    assert_eq!(ended.status.code(), Some(2));
    String::from_utf8(ended.stderr).unwrap()
}

async fn keep(output: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<String>>>) {
    let mut output = BufReader::new(output).lines();
    while let Ok(Some(line)) = output.next_line().await {
        kept.lock().unwrap().push(line);
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A running `up`.
pub(crate) struct Up {
    pub(crate) url: String,
    pub(crate) database: String,
    kafka: String,
    program: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Up {
    /// Starts `up` in this folder, and waits until it is complete.
    pub(crate) async fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(&mut up(folder, arguments)).await
    }

    /// [`Self::start`] with additional environment variables.
    pub(crate) async fn start_with(
        folder: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::spawn(up(folder, arguments).envs(variables.iter().copied())).await
    }

    /// [`Self::start`] by a program that replaces itself with `up`, such as `nohup`.
    pub(crate) async fn start_by(program: &[&str], folder: &Path, arguments: &[&str]) -> Self {
        let up = up(folder, arguments).into_std();
        let mut starter = std::process::Command::new(program[0]);
        starter.args(&program[1..]).arg(up.get_program()).args(up.get_args());
        starter.current_dir(folder).stdin(Stdio::null());
        for (name, _) in up.get_envs() {
            starter.env_remove(name);
        }
        Self::spawn(&mut starter.into()).await
    }

    async fn spawn(program: &mut Command) -> Self {
        let program = program.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = program.kill_on_drop(true).spawn().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        tokio::spawn(keep(program.stdout.take().unwrap(), Arc::clone(&lines)));
        tokio::spawn(keep(program.stderr.take().unwrap(), Arc::clone(&lines)));
        let (url, database, kafka) = Default::default();
        let mut up = Self { url, database, kafka, program, lines };
        up.wait_for(START_TIMEOUT, |line| line.starts_with("Orders that end are listed")).await;
        for line in up.printed() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["Page", page, ..] => page.trim_end_matches('/').clone_into(&mut up.url),
                ["DynamoDB", url, ..] => url.clone_into(&mut up.database),
                ["Kafka", servers, ..] => servers.clone_into(&mut up.kafka),
                _ => {}
            }
        }
        up
    }

    pub(crate) fn printed(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) async fn until_printed(&self, holds: impl Fn(&str) -> bool) {
        self.wait_for(TIMEOUT, holds).await;
    }

    async fn wait_for(&self, timeout: Duration, holds: impl Fn(&str) -> bool) {
        let printed = async {
            while !self.printed().iter().any(|line| holds(line)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let printed = tokio::time::timeout(timeout, printed).await;
        printed.unwrap_or_else(|_| panic!("{:?}", self.printed()));
    }

    /// Sends a signal: `INT` is Ctrl-C.
    pub(crate) async fn signal(&self, name: &str) {
        let process = self.program.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status().await.unwrap();
        assert!(sent.success());
    }

    /// The highest resident memory of the program; Linux only.
    pub(crate) fn peak_mb(&self) -> u64 {
        let status = format!("/proc/{}/status", self.program.id().unwrap());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Waits until the program has ended.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        tokio::time::timeout(TIMEOUT, self.program.wait()).await.unwrap().unwrap().code()
    }

    /// Ends the program as Ctrl-C does. Returns the lines that it has printed.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop_by("INT").await
    }

    pub(crate) async fn stop_by(mut self, signal: &str) -> Vec<String> {
        self.signal(signal).await;
        assert_eq!(self.exit_code().await, Some(0), "{signal}: {:?}", self.printed());
        self.until_printed(|line| line.starts_with("Stopped.")).await;
        self.printed()
    }

    /// Ends the program as a crash does.
    pub(crate) async fn kill(mut self) -> Vec<String> {
        self.program.kill().await.unwrap();
        self.printed()
    }

    /// Writes a record.
    pub(crate) async fn publish(&self, topic: &str, value: &str) {
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().unwrap();
        let record = FutureRecord::to(topic).key("key").payload(value);
        producer.send(record, Timeout::Never).await.unwrap();
    }

    /// Pauses the mapping with this logical id.
    pub(crate) async fn pause(&self, mapping: &str) {
        let request = http()
            .post(format!("{}/_page/mappings/{mapping}/pause", self.url))
            .header(reqwest::header::ORIGIN, &self.url);
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Posts an order of one customer for two of `ITEM-A`; returns its id.
    pub(crate) async fn order(&self, customer_id: &str) -> String {
        let order = serde_json::json!({
            "customerId": customer_id, "items": [{ "sku": "ITEM-A", "quantity": 2 }],
            "totalAmount": 99.98,
        });
        let request = http().post(format!("{}/orders", self.url));
        let response = request.body(order.to_string()).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 202);
        let body: Value = response.json().await.unwrap();
        body["orderId"].as_str().unwrap().to_owned()
    }

    /// Waits until an order has ended; returns its status.
    pub(crate) async fn ended(&self, order_id: &str) -> String {
        let ended = async {
            loop {
                let response = http().get(format!("{}/orders/{order_id}", self.url)).send().await;
                let order: Value = response.unwrap().json().await.unwrap();
                match order["status"].as_str().unwrap() {
                    "PENDING" => tokio::time::sleep(Duration::from_millis(50)).await,
                    status => return status.to_owned(),
                }
            }
        };
        let ended = tokio::time::timeout(TIMEOUT, ended).await;
        ended.unwrap_or_else(|_| panic!("{order_id} has not ended: {:?}", self.printed()))
    }

    fn database(&self) -> Database {
        Database::outside(&self.database, &AwsSettings::default(), "")
    }

    /// Puts an item of texts.
    pub(crate) async fn put_text(&self, table: &str, item: &[(&str, &str)]) {
        let text = |it: &(&str, &str)| (it.0.to_owned(), AttributeValue::S(it.1.to_owned()));
        let item = item.iter().map(text).collect();
        let database = self.database();
        let request = database.client().put_item().table_name(table);
        request.set_item(Some(item)).send().await.unwrap();
    }

    /// A number of the item with this key.
    pub(crate) async fn number(&self, table: &str, key: (&str, &str), attribute: &str) -> String {
        let database = self.database();
        let key = (key.0, AttributeValue::S(key.1.to_owned()));
        let request = database.client().get_item().table_name(table).consistent_read(true);
        let item = request.key(key.0, key.1).send().await.unwrap().item.unwrap();
        item[attribute].as_n().unwrap().clone()
    }

    /// Waits until so many pieces of `ITEM-A` are reserved.
    pub(crate) async fn until_reserved(&self, expected: &str) {
        let reserved = async {
            while self.number("StockTable", ("sku", "ITEM-A"), "reserved").await != expected {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let reserved = tokio::time::timeout(TIMEOUT, reserved).await;
        reserved.unwrap_or_else(|_| panic!("not {expected} reserved: {:?}", self.printed()));
    }
}
