//! Test harness: a world with a customer, the command, the tables as text.

use std::process::Stdio;
use std::time::Duration;

use contracts::{EventType, StoredEvent};
use emulator::broker;
use serde_json::{Value, json};
use tokio::process::Command;
use workflow_tests::world::World;

pub(crate) const CUSTOMER: &str = "cust-personal";
/// A text of the client that names a person.
pub(crate) const PERSONAL: &str = "personal@example.com";

const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: i32,
    stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The line that starts with this.
    pub(crate) fn line(&self, start: &str) -> &str {
        let mut lines = self.stdout.lines().map(str::trim);
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {self:?}"))
    }
}

/// A world with stock and the customer's account.
pub(crate) async fn world() -> World {
    let world = World::start().await;
    world.stock("SKU-1", 100).await;
    world.account(CUSTOMER, "1000").await;
    world
}

/// An order of the customer for two of a SKU, with further personal fields.
pub(crate) fn order(sku: &str, total: f64) -> Value {
    json!({
        "customerId": CUSTOMER,
        "items": [{ "sku": sku, "quantity": 2, "engraving": "personal engraving" }],
        "totalAmount": total,
        "email": PERSONAL,
        "shipTo": { "name": "personal name" },
        "paymentId": "personal card",
    })
}

/// Runs `erase` for the customer to its end.
pub(crate) async fn erase(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_erase"));
    if !arguments.contains(&"--customer") {
        command.args(["--customer", CUSTOMER]);
    }
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL_DYNAMODB", &world.database.url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("ORDERS_TABLE", world.stack.table("OrdersTable"))
        .env("ACCOUNTS_TABLE", world.stack.table("AccountsTable"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let program = broker::spawn(|| command.spawn()).unwrap();
    let output = tokio::time::timeout(TIMEOUT, program.wait_with_output()).await.unwrap().unwrap();
    Output {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every item of every table, all attributes as text, sorted.
pub(crate) async fn items(world: &World) -> Vec<String> {
    let mut items = Vec::new();
    for table in &world.stack.template.tables {
        let scan = world.stack.database.client().scan().consistent_read(true);
        let scan = scan.table_name(world.stack.table(&table.logical_id)).into_paginator().items();
        for item in scan.send().collect::<Result<Vec<_>, _>>().await.unwrap() {
            let mut attributes: Vec<_> =
                item.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            attributes.sort();
            items.push(attributes.join(" "));
        }
    }
    items.sort();
    items
}

/// The events of an order, once each of these types was published. The topics are read
/// independently, so the last event may be read first.
pub(crate) async fn until_events(
    world: &mut World,
    order_id: &str,
    types: &[EventType],
) -> Vec<(EventType, String)> {
    for event_type in types {
        world.until_event(order_id, *event_type, 1).await;
    }
    world.events(order_id)
}

/// Delivers events again, as they were published.
pub(crate) async fn redeliver(world: &World, events: &[(EventType, String)]) {
    for (_, body) in events {
        let event = StoredEvent::read(body.clone()).unwrap();
        world.write_event(&event, 0).await;
    }
}

/// Waits until a stage has met an event with other content than it decided about.
pub(crate) async fn until_conflicting(world: &World, stage: &str) {
    let outcomes = world.stack.functions.as_ref().unwrap().outcomes();
    let key = (stage.to_owned(), "conflicting".to_owned());
    let reached = async {
        while !outcomes.snapshot().contains_key(&key) {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let reached = tokio::time::timeout(TIMEOUT, reached).await;
    assert!(reached.is_ok(), "{stage}: {:?}", outcomes.snapshot());
}

/// Checks events against their published schemas, and that they hold no personal text.
pub(crate) fn validate<'a>(events: impl Iterator<Item = &'a (EventType, String)>) {
    let mut count = 0;
    for (event_type, body) in events {
        let schema: Value = serde_json::from_str(event_type.schema()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let event: Value = serde_json::from_str(body).unwrap();
        assert_eq!(schema.validate(&event).map_err(|error| error.to_string()), Ok(()), "{body}");
        assert!(![CUSTOMER, PERSONAL, "personal"].iter().any(|text| body.contains(text)), "{body}");
        count += 1;
    }
    assert!(count > 0, "nothing was published again");
}
