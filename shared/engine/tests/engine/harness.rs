//! The harness of an engine test: a toy stage, an embedded broker, an embedded database.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    Envelope, FailureCode, FailureReason, Fields, StageName, StoredEvent, Topic, TopicNames,
    order::items,
};
use emulator::{aws_settings::AwsSettings, broker::Broker, database::Database, template::Template};
use engine::{
    Context, Decision, Digest, Effect, Engine, Needed, OrdersTable, Publisher, Row, RowBody,
    RowKey, Stage,
    engine::BatchError,
    error::Error,
    lambda_event::{BatchResponse, KafkaEvent},
};
use jiff::{SignedDuration, Timestamp};
use kafka::{Brokers, Producer};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The limit for reading a topic.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The time for one batch.
const DEADLINE: Duration = Duration::from_secs(60);

/// The producer's delivery timeout, and that of a test in which the broker is away.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
const SHORT_DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Only takes its items out of the stock table.
struct Toy {
    table: String,
}

impl Stage for Toy {
    const NAME: StageName = StageName::Inventory;

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        let effects = items(&event.payload).unwrap_or_default().into_iter().map(|item| Effect {
            table: self.table.clone(),
            key: ("sku", item.sku),
            is_key_loggable: true,
            adds: vec![("available", -Decimal::from(item.quantity))],
            floor: "available",
            refused: |effect, available| {
                let has = available.map_or("none".to_owned(), |it| it.to_string());
                let text = format!("{} has {has}", effect.key.1);
                FailureReason::new(FailureCode::OutOfStock, text)
            },
        });
        Ok(Decision::Accept { fields: Fields::default(), effects: effects.collect() })
    }
}

/// An event as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) key: String,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Published {
    pub(crate) fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(key, _)| key == name).expect("the header is there").1
    }
}

pub(crate) struct Harness {
    pub(crate) broker: Broker,
    database: Database,
    engine: Engine,
    context: Context,
}

impl Harness {
    #[expect(clippy::disallowed_methods, reason = "the test provides the clock")]
    pub(crate) async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
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
                clock: Timestamp::now,
            },
            publisher: Publisher::new(Producer::new(&brokers, DELIVERY_TIMEOUT).unwrap()),
            // The timestamps differ, so that a second decision is visible.
            clock: Timestamp::now,
            row_ttl: SignedDuration::from_hours(24),
            reports_batch_item_failures: true,
        };
        let engine = Self::engine(&context, &database);
        Self { broker, database, engine, context }
    }

    /// Gives up a delivery soon, for a test in which the broker is away.
    pub(crate) fn with_short_delivery_timeout(mut self) -> Self {
        let brokers = Brokers::plaintext(self.broker.bootstrap_servers());
        let producer = Producer::new(&brokers, SHORT_DELIVERY_TIMEOUT).unwrap();
        self.context.publisher = Publisher::new(producer);
        self.engine = Self::engine(&self.context, &self.database);
        self
    }

    pub(crate) fn without_partial_responses(mut self) -> Self {
        self.context.reports_batch_item_failures = false;
        self.engine = Self::engine(&self.context, &self.database);
        self
    }

    /// With the topics of a stack that shares its cluster.
    pub(crate) fn with_topic_prefix(mut self, prefix: &str) -> Self {
        self.context.publisher =
            self.context.publisher.with_topics(TopicNames::with_prefix(prefix));
        self.engine = Self::engine(&self.context, &self.database);
        self
    }

    /// Runs this stage in place of the toy.
    pub(crate) fn run(&mut self, stage: impl Stage) {
        self.engine = Engine::new(self.context.clone()).with(stage);
    }

    /// The engine of another process, without stages.
    pub(crate) fn other(&self) -> Engine {
        Engine::new(self.context.clone())
    }

    /// With this stage in place of the toy.
    pub(crate) fn with_stage(mut self, stage: impl Stage) -> Self {
        self.run(stage);
        self
    }

    fn engine(context: &Context, database: &Database) -> Engine {
        Engine::new(context.clone()).with(Toy { table: database.table_name("StockTable") })
    }

    /// Delivers one batch from one partition.
    pub(crate) async fn deliver(&self, records: &[Value]) -> Result<BatchResponse, BatchError> {
        self.deliver_from("order.validated-0", records).await
    }

    /// Delivers one batch from this partition.
    pub(crate) async fn deliver_from(
        &self,
        partition: &str,
        records: &[Value],
    ) -> Result<BatchResponse, BatchError> {
        let event = json!({ "eventSource": "aws:kafka", "records": { partition: records } });
        let event = event.to_string();
        let event = KafkaEvent::read(&mut serde_json::Deserializer::from_str(&event)).unwrap();
        self.engine.handle(&event, tokio::time::Instant::now() + DEADLINE).await
    }

    /// Delivers a batch until no record fails, as the mapping does.
    pub(crate) async fn redeliver(&self, records: &[Value]) {
        let succeeded = async { while !self.deliver(records).await.unwrap().is_success() {} };
        tokio::time::timeout(DEADLINE, succeeded).await.expect("a delivery succeeds");
    }

    pub(crate) async fn stock(&self, sku: &str, available: u32) {
        self.database
            .client()
            .put_item()
            .table_name(self.database.table_name("StockTable"))
            .item("sku", AttributeValue::S(sku.to_owned()))
            .item("available", AttributeValue::N(available.to_string()))
            .send()
            .await
            .expect("stock is inserted");
    }

    /// Inserts a row with only its key.
    pub(crate) async fn unreadable_row(&self, order_id: &str) {
        self.database
            .client()
            .put_item()
            .table_name(self.database.table_name("OrdersTable"))
            .item("orderId", AttributeValue::S(order_id.to_owned()))
            .item("stage", AttributeValue::S(StageName::Inventory.name().to_owned()))
            .send()
            .await
            .expect("the row is inserted");
    }

    /// Inserts an item whose `available` is text.
    pub(crate) async fn broken_stock(&self, sku: &str) {
        self.database
            .client()
            .put_item()
            .table_name(self.database.table_name("StockTable"))
            .item("sku", AttributeValue::S(sku.to_owned()))
            .item("available", AttributeValue::S("10".to_owned()))
            .send()
            .await
            .expect("stock is inserted");
    }

    pub(crate) async fn available(&self, sku: &str) -> String {
        let response = self
            .database
            .client()
            .get_item()
            .table_name(self.database.table_name("StockTable"))
            .key("sku", AttributeValue::S(sku.to_owned()))
            .send()
            .await
            .expect("stock is read");
        response.item.unwrap()["available"].as_n().unwrap().clone()
    }

    /// Stores an event as the stage that publishes it would.
    pub(crate) async fn store(&self, event: &Value) {
        let event = StoredEvent::read(event.to_string()).unwrap();
        let row = Row {
            key: RowKey { id: event.order_id.to_string(), stage: event.stage() },
            digest: Digest::of(event.body.as_bytes()),
            body: RowBody::Event(event),
            expires_at: self.context.expires_at((self.context.clock)()),
            customer_index: None,
        };
        let put = self.database.client().put_item().set_item(Some(row.to_item()));
        let put = put.table_name(self.database.table_name("OrdersTable"));
        put.send().await.expect("the row is inserted");
    }

    /// The JSON that the close stage has stored for an order.
    pub(crate) async fn kept(&self, order_id: &str) -> Option<String> {
        let key = RowKey { id: order_id.to_owned(), stage: StageName::Close };
        let mut rows = self.context.orders.get_all(std::slice::from_ref(&key)).await.unwrap();
        match rows.remove(&key)?.unwrap().body {
            RowBody::Data(json) => Some(json),
            RowBody::Event(event) => panic!("the row has an event: {event:?}"),
        }
    }

    pub(crate) async fn stored_event(&self, order_id: &str) -> String {
        let key = RowKey { id: order_id.to_owned(), stage: StageName::Inventory };
        let mut rows = self.context.orders.get_all(std::slice::from_ref(&key)).await.unwrap();
        match rows.remove(&key).expect("there is a row").unwrap().body {
            RowBody::Event(event) => event.body,
            RowBody::Data(data) => panic!("the row has no event: {data}"),
        }
    }

    /// The records of a topic, once there are this many; fails if there are not within 20 s.
    pub(crate) fn published(&self, topic: Topic, count: usize) -> Vec<Published> {
        self.published_on(topic.name(), count)
    }

    /// As [`Self::published`], of a topic with any name.
    pub(crate) fn published_on(&self, topic: &str, count: usize) -> Vec<Published> {
        read(&consumer(self.broker.bootstrap_servers(), topic), topic, count)
    }
}

fn consumer(bootstrap_servers: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "harness")
        .set("fetch.wait.max.ms", "5")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), READ_TIMEOUT).unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    consumer
}

/// The next records of a topic; fails if there are fewer within 20 s.
fn read(consumer: &BaseConsumer, topic: &str, count: usize) -> Vec<Published> {
    let (mut published, give_up) = (Vec::new(), Instant::now() + READ_TIMEOUT);
    while published.len() < count {
        assert!(Instant::now() < give_up, "{topic} holds {published:?}, not {count} events");
        let Some(Ok(message)) = consumer.poll(POLL_INTERVAL) else { continue };
        let text =
            |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        published.push(Published {
            key: text(message.key()),
            body: text(message.payload()),
            headers: headers.map(|it| (it.key.to_owned(), text(it.value))).collect(),
        });
    }
    published
}

/// An `OrderValidated` event.
pub(crate) fn event(order_id: &str, items: &[(&str, u64)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity })).collect();
    json!({
        "eventType": "OrderValidated", "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z", "payload": { "customerId": "cust-1", "items": items },
    })
}

/// A record of an event.
pub(crate) fn record(offset: i64, event: &Value) -> Value {
    let mut record = raw_record(offset, &BASE64_STANDARD.encode(event.to_string()).into());
    record["key"] = BASE64_STANDARD.encode(event["orderId"].as_str().unwrap_or_default()).into();
    record
}

/// A record with this value.
pub(crate) fn raw_record(offset: i64, value: &Value) -> Value {
    json!({ "topic": "order.validated", "partition": 0, "offset": offset, "value": value })
}
