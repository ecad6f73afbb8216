//! The consumers that other teams may copy from, `consumers/`, at a running workflow.

use std::{collections::BTreeSet, path::Path, process::Stdio, time::Duration};

use contracts::{EventType, OrderId, StoredEvent, Topic};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use workflow_tests::world::{World, root};

use crate::{journey, order, world};

const DIGITS: &str = "123456789012345678901234567890";
const DECIMALS: &str = "0.123456789012345678901234567890";

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_consumer_prints_each_event_once_with_every_field_and_digit() {
    let built = local::binaries::build(&root(), &["consumer".to_owned()]).await.unwrap();
    prints_each_event_once_with_every_field_and_digit(&[built["consumer"].as_path()]).await;
}

#[cfg(feature = "python-consumer")]
#[tokio::test(flavor = "multi_thread")]
async fn the_python_consumer_prints_each_event_once_with_every_field_and_digit() {
    let python = std::env::var("CONSUMER_PYTHON").expect("tests/python-consumer names the Python");
    let program = root().join("consumers/python/consume.py");
    prints_each_event_once_with_every_field_and_digit(&[Path::new(&python), &program]).await;
}

async fn prints_each_event_once_with_every_field_and_digit(program: &[&Path]) {
    let mut world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("handled.sqlite");
    // By POST, with an idempotency key, so that it can be published again; and by hand, because a
    // client cannot add to the envelope.
    let key = uuid::Uuid::new_v4().to_string();
    let payload = format!(
        r#"{{"customerId":"cust-1","items":[{{"sku":"SKU-1","quantity":2,"serial":{DIGITS},"size":{{"width":{DECIMALS}}}}}],"totalAmount":12.50,"serial":{DIGITS},"gift":{{"weight":{DECIMALS},"to":"Müller ☕","tags":[null,{{"deep":true}}]}}}}"#
    );
    let sent = [("idempotency-key", key.as_str())];
    let answer = world.request("POST", "/orders", &sent, payload.clone()).await;
    let answer: Value = answer.json().await.unwrap();
    let posted = answer["orderId"].as_str().unwrap();
    let written = format!("ord-{}", uuid::Uuid::new_v4());
    let created = format!(
        r#"{{"eventType":"OrderCreated","tenant":{{"id":{DIGITS},"share":{DECIMALS}}},"orderId":"{written}","correlationId":"corr-1","timestamp":"2026-02-06T12:00:00Z","payload":{payload},"trace":null}}"#
    );
    world.write(Topic::OrderCreated, None, &written, created.as_bytes()).await;
    for order_id in [posted, &written] {
        journey(&mut world, order_id, 1).await;
    }

    let partitions: BTreeSet<i32> = [posted, &written]
        .into_iter()
        .flat_map(|order_id| world.records(order_id, EventType::OrderCompleted))
        .map(|record| record.partition)
        .collect();

    let mut first = Reader::start(program, &world, &database);
    let lines = first.read_up_to_now(&world, &partitions).await;
    let sent: Value = serde_json::from_str(&payload).unwrap();
    for order_id in [posted, &written] {
        let line = lines.iter().find(|line| line["event"]["orderId"] == *order_id).unwrap();
        assert_eq!(line["id"], format!("{order_id}/OrderCompleted"));
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(line["event"]["payload"][name].to_string(), value.to_string(), "{name}");
        }
        if order_id == written {
            let tenant = format!(r#"{{"id":{DIGITS},"share":{DECIMALS}}}"#);
            assert_eq!(line["event"]["tenant"].to_string(), tenant);
            assert_eq!(line["event"].get("trace"), Some(&Value::Null));
        }
    }

    // Everything once more: published again, and read from the start by another group.
    drop(first);
    let again = [("idempotency-key", key.as_str())];
    world.request("POST", "/orders", &again, payload).await;
    journey(&mut world, posted, 2).await;
    let mut second = Reader::start(program, &world, &database);
    let lines = second.read_up_to_now(&world, &partitions).await;
    assert!(lines.iter().all(|line| line["event"]["orderId"] != *posted), "{lines:?}");
    assert!(lines.iter().all(|line| line["event"]["orderId"] != *written), "{lines:?}");
    drop(second);
    world.stop().await;
}

/// An order's last event, as notification publishes it.
fn completed(order_id: &str) -> StoredEvent {
    let order_id = OrderId::parse(order_id).unwrap();
    let (timestamp, payload) = (jiff::Timestamp::UNIX_EPOCH, order().to_string());
    StoredEvent::new(EventType::OrderCompleted, &order_id, "corr-1", timestamp, &payload)
}

/// A consumer that runs until it is dropped.
struct Reader {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Reader {
    /// Starts the program with a group of its own.
    fn start(program: &[&Path], world: &World, database: &Path) -> Self {
        let (executable, arguments) = program.split_first().unwrap();
        let mut process = Command::new(executable)
            .args(arguments)
            .arg(world.stack.broker.bootstrap_servers())
            .arg(format!("consumer-{}", uuid::Uuid::new_v4()))
            .arg(database)
            .arg(Topic::OrderCompleted.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { lines, _process: process }
    }

    /// Reads all that lies on these partitions by now; gives its lines.
    ///
    /// Each printed event but the last has been handled: so each partition gets one more event, and
    /// before it a malformed record.
    async fn read_up_to_now(&mut self, world: &World, partitions: &BTreeSet<i32>) -> Vec<Value> {
        let mut lines = Vec::new();
        for partition in partitions {
            let malformed = b"not JSON \xff";
            world.write(Topic::OrderCompleted, Some(*partition), "malformed", malformed).await;
            let last = format!("ord-{}", uuid::Uuid::new_v4());
            world.write_event(&completed(&last), *partition).await;
            lines.extend(self.until(&last).await);
        }
        lines
    }

    /// Reads up to the event of this order; gives all lines that were read for it.
    #[expect(clippy::print_stdout, reason = "the consumer's own output is what the test is about")]
    async fn until(&mut self, order_id: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &Value| line["event"]["orderId"] != *order_id) {
            let line = timeout(Duration::from_secs(120), self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{order_id} is not printed")).unwrap();
            let line = line.expect("the consumer goes on");
            println!("{line}");
            lines.push(serde_json::from_str(&line).unwrap());
        }
        lines
    }
}
