//! Every Kafka-triggered stage in one process, with an embedded broker and an embedded database.

use std::{
    cell::Cell,
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{Envelope, FailureCode, FailureReason, StageName, StoredEvent, Topic};
use emulator::{
    aws_settings::AwsSettings, broker::Broker, database::Database, tap::Tap, template::Template,
};
use engine::{
    Context, Digest, Engine, OrdersTable, Publisher, Row, RowBody, RowKey,
    lambda_event::KafkaEvent,
    row::{Item, MAX_ROW_BYTES},
};
use inventory::{Release, Reserve, StockTable};
use jiff::{SignedDuration, Timestamp};
use kafka::{Brokers, Producer};
use notification::{Channel, Notify};
use order_api::Close;
use payment::{Charge, Provider, Wallet};
use serde_json::{Value, json};
use tokio::time::Instant;
use validator::Validate;

/// The time for one delivery.
const DEADLINE: Duration = Duration::from_secs(20);

thread_local! {
    /// By how much the stages' clock is ahead of the machine's.
    static AHEAD: Cell<SignedDuration> = const { Cell::new(SignedDuration::ZERO) };
}

fn now() -> Timestamp {
    Timestamp::now() + AHEAD.get()
}

/// Sets the clock of every stage on this thread ahead.
pub fn set_clock_ahead(by: SignedDuration) {
    AHEAD.set(by);
}

/// The stages of the workflow, each function an engine of its own.
pub struct Stages {
    /// The clients of all engines.
    pub context: Context,
    engines: Vec<(&'static [StageName], Engine)>,
    offset: AtomicI64,
    /// The embedded broker, to inject errors.
    pub broker: Broker,
    database: Database,
}

/// A record as the mapping sends it, but for its position.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The value's bytes.
    pub value: Vec<u8>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// Names and bytes.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// A record of this value, without key and headers.
    pub fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }
}

impl Stages {
    /// Starts the servers and connects the engines.
    pub async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let template = Template::read(&root).expect("the template is readable");
        let broker = Broker::embedded().expect("the broker starts");
        broker.create_topics(&template.topics).await.expect("the topics are created");
        let settings = AwsSettings::from_environment(|_| None);
        let database = Database::embedded(&settings, "").await.expect("the database starts");
        database.create_tables(&template.tables).await.expect("the tables are created");
        let brokers = Brokers::plaintext(broker.bootstrap_servers());
        let context = Context {
            orders: OrdersTable {
                client: database.client().clone(),
                name: database.table_name("OrdersTable"),
                clock: now,
            },
            publisher: Publisher::new(Producer::new(&brokers, DEADLINE).expect("a producer")),
            clock: now,
            row_ttl: SignedDuration::from_hours(24),
            reports_batch_item_failures: true,
        };
        let engines = engines(&context, &database);
        Self { context, engines, offset: AtomicI64::new(0), broker, database }
    }

    /// Reads along what is published from now on.
    pub async fn tap(&self) -> Tap {
        let topics: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        Tap::start(&self.broker, &topics).await.expect("the tap opens")
    }

    /// Delivers the same batch this many times to every function that the topic triggers, which
    /// must succeed.
    pub async fn deliver(&self, topic: Topic, records: &[Record], times: usize) {
        let consumers = self.engines.iter().filter(|(stages, _)| consumes(stages, topic));
        let consumers: Vec<_> = consumers.map(|(_, engine)| engine).collect();
        assert!(!consumers.is_empty(), "{topic} triggers no function");
        let event = self.event(topic, records);
        for _ in 0..times {
            for engine in &consumers {
                assert!(handle(engine, &event, DEADLINE).await, "records fail");
            }
        }
    }

    /// Delivers a batch once, to the function of this stage alone.
    pub async fn deliver_to(&self, stage: StageName, topic: Topic, records: &[Record]) {
        let mut engines = self.engines.iter();
        let (_, engine) = engines.find(|(stages, _)| stages.contains(&stage)).expect("a stage");
        let event = self.event(topic, records);
        assert!(handle(engine, &event, DEADLINE).await, "records fail");
    }

    /// Delivers an event once to each function that the topic triggers, within this time; gives
    /// whether all records have succeeded.
    pub async fn try_handle(&self, topic: Topic, event: &str, within: Duration) -> bool {
        let mut succeeded = true;
        for (_, engine) in self.engines.iter().filter(|(stages, _)| consumes(stages, topic)) {
            succeeded &= handle(engine, event, within).await;
        }
        succeeded
    }

    /// Delivers the stored events of an order until no row is added.
    pub async fn carry(&self, order_id: &str) {
        let mut known = 0;
        loop {
            let rows = self.rows(order_id).await;
            if rows.len() == known {
                return;
            }
            known = rows.len();
            for row in rows.values() {
                if let RowBody::Event(event) = &row.body {
                    let record = Record::of(event.body.clone());
                    self.deliver(event.event_type.topic(), &[record], 1).await;
                }
            }
        }
    }

    /// The event of a mapping that sends these records of one partition.
    #[must_use]
    pub fn event(&self, topic: Topic, records: &[Record]) -> String {
        let first = i64::try_from(records.len()).expect("a usual batch");
        let first = self.offset.fetch_add(first, Ordering::Relaxed);
        let records = records.iter().zip(first..).map(|(record, offset)| {
            let key = record.key.as_ref().map(|key| BASE64_STANDARD.encode(key));
            let headers: Vec<Value> =
                record.headers.iter().map(|(name, bytes)| json!({ name: bytes })).collect();
            json!({
                "topic": topic.name(), "partition": 0, "offset": offset, "timestamp": 1,
                "timestampType": "CREATE_TIME", "key": key, "headers": headers,
                "value": BASE64_STANDARD.encode(&record.value),
            })
        });
        let records: Vec<Value> = records.collect();
        json!({ "eventSource": "aws:kafka", "records": { format!("{topic}-0"): records } })
            .to_string()
    }

    /// Stores an event as the stage that publishes it would; gives whether it is one that fits.
    pub async fn store(&self, event: &[u8]) -> bool {
        let Ok(envelope) = Envelope::decode(event) else { return false };
        let row = Row {
            key: RowKey {
                id: envelope.order_id.to_string(),
                stage: envelope.event_type.published_by(),
            },
            digest: Digest::of(envelope.payload.text().as_bytes()),
            body: RowBody::Event(StoredEvent::read(envelope.text().to_owned()).expect("an event")),
            expires_at: self.context.expires_at((self.context.clock)()),
            customer_index: None,
        };
        let fits = row.size_bytes() <= MAX_ROW_BYTES;
        if fits {
            self.put_item("OrdersTable", row.to_item()).await;
        }
        fits
    }

    /// Cancels an order whose payment is not decided, as the order API does; `event` is an event of it.
    pub async fn cancel(&self, event: &[u8]) {
        let event = Envelope::decode(event).expect("an event");
        let reason = FailureReason::new(FailureCode::OrderCancelled, "cancelled before payment");
        let (_, engine) = &self.engines[self.engines.len() - 1];
        let until = Instant::now() + DEADLINE;
        let row = engine.reject_early(StageName::Payment, &event, &reason, until).await;
        assert!(row.expect("the row is stored").is_early(), "the payment has been decided");
    }

    /// The rows of an order, by stage.
    pub async fn rows(&self, order_id: &str) -> BTreeMap<StageName, Row> {
        let stages = StageName::ALL.iter();
        let keys: Vec<_> =
            stages.map(|stage| RowKey { id: order_id.to_owned(), stage: *stage }).collect();
        let found = self.context.orders.get_all(&keys).await.expect("the rows are read");
        found.into_iter().map(|(key, row)| (key.stage, row.expect("a readable row"))).collect()
    }

    /// Puts an item.
    pub async fn put(&self, table: &str, item: &[(&str, AttributeValue)]) {
        let item = item.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        self.put_item(table, item.collect()).await;
    }

    async fn put_item(&self, table: &str, item: Item) {
        let put = self.database.client().put_item().table_name(self.database.table_name(table));
        put.set_item(Some(item)).send().await.expect("the item is put");
    }

    /// All items of a table.
    pub async fn scan(&self, table: &str) -> Vec<Item> {
        let scan = self.database.client().scan().table_name(self.database.table_name(table));
        let items = scan.consistent_read(true).into_paginator().items().send();
        items.collect::<Result<Vec<Item>, _>>().await.expect("the items are read")
    }

    /// All items of a table, by the text of their key.
    pub async fn items(&self, table: &str, key: &str) -> BTreeMap<String, Item> {
        let items = self.scan(table).await.into_iter();
        items.map(|item| (item[key].as_s().expect("text").clone(), item)).collect()
    }
}

fn engines(context: &Context, database: &Database) -> Vec<(&'static [StageName], Engine)> {
    let stock = StockTable(database.table_name("StockTable"));
    let wallet = Wallet { accounts_table: database.table_name("AccountsTable") };
    let reserve = Reserve { stock: stock.clone() };
    let engine = || Engine::new(context.clone());
    vec![
        (validator::SPEC.stages, engine().with(Validate { currency_decimals: 2 })),
        (inventory::SPEC.stages, engine().with(reserve).with(Release { stock })),
        (payment::SPEC.stages, engine().with(Charge { provider: Provider::Wallet(wallet) })),
        (notification::SPEC.stages, engine().with(Notify { channel: Channel::Log })),
        (order_api::SPEC.stages, engine().with(Close)),
    ]
}

fn consumes(stages: &[StageName], topic: Topic) -> bool {
    stages.iter().any(|stage| stage.spec().consumes_from(topic))
}

/// Lets an engine handle an event within this time; gives whether all records have succeeded.
pub async fn handle(engine: &Engine, event: &str, within: Duration) -> bool {
    let event = KafkaEvent::read(&mut serde_json::Deserializer::from_str(event)).expect("an event");
    let response = engine.handle(&event, Instant::now() + within).await;
    response.expect("a response").is_success()
}
