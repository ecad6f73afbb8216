//! What an engine test works with: a toy stage, an embedded broker, an embedded database.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::{AttributeValue, Update};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{Envelope, EventType, FailureCode, FailureReason, StageName, Topic, order::items};
use jiff::{SignedDuration, Timestamp};
use kafka_client::Brokers;
use local::{aws_settings::AwsSettings, broker::Broker, database::Database, template::Template};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use serde_json::{Value, json};
use stage::{
    Accept, Clients, Content, Decision, Effect, Engine, Publisher, Publishes, Retry, Stage, Store,
    decision::{Item, Refusal},
    engine::BatchError,
    mapping::{BatchResponse, KafkaEvent},
};

/// Takes its items out of the stock table; nothing else.
struct Toy {
    table: String,
}

impl Stage for Toy {
    const NAME: StageName = StageName::Inventory;
    const CONSUMES: &'static [EventType] = &[EventType::OrderValidated];
    const PUBLISHES: Publishes = Publishes::Either {
        accepted: EventType::InventoryReserved,
        rejected: EventType::OrderInventoryFailed,
    };

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let effects = items(&event.payload)
            .unwrap_or_default()
            .into_iter()
            .map(|item| {
                let change = Update::builder()
                    .table_name(&self.table)
                    .key("sku", AttributeValue::S(item.sku.clone()))
                    .update_expression("SET available = available - :quantity")
                    .condition_expression("available >= :quantity")
                    .expression_attribute_values(
                        ":quantity",
                        AttributeValue::N(item.quantity.to_string()),
                    );
                let refused = move |found: Option<&Item>| {
                    let has = found.map_or("none", |found| found["available"].as_n().unwrap());
                    let text = format!("{} has {has}", item.sku);
                    FailureReason::new(FailureCode::OutOfStock, text)
                };
                Effect::new(change, Refusal::new(refused))
            })
            .collect::<Result<_, _>>()?;
        Ok(Decision::Accept(Accept { effects, ..Accept::default() }))
    }
}

/// An event as it lies on a topic.
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

pub(crate) struct Bench {
    broker: Broker,
    database: Database,
    engine: Engine,
    clients: Clients,
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "a test's main is the test")]
    pub(crate) async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let template = Template::read(&root).expect("the template is readable");
        let broker = Broker::embedded().expect("the broker starts");
        broker.create_topics(&template.topics).await.expect("the topics are created");
        let settings = AwsSettings::from_environment(|_| None);
        let database = Database::embedded(&settings, "").await.expect("the database starts");
        database.create_tables(&template.tables).await.expect("the tables are created");
        let brokers = Brokers::plaintext(broker.bootstrap_servers());
        let clients = Clients {
            dynamodb: database.client().clone(),
            store: Store::new(database.client().clone(), database.table_name("OrdersTable")),
            publisher: Publisher::new(&brokers, Duration::from_secs(2)).unwrap(),
            // No two decisions are stamped alike, so that a second one could not go unnoticed.
            clock: Timestamp::now,
            row_ttl: SignedDuration::from_hours(24),
            reports_batch_item_failures: true,
        };
        let engine = Self::engine(&clients, &database);
        Self { broker, database, engine, clients }
    }

    pub(crate) fn without_partial_responses(mut self) -> Self {
        self.clients.reports_batch_item_failures = false;
        self.engine = Self::engine(&self.clients, &self.database);
        self
    }

    fn engine(clients: &Clients, database: &Database) -> Engine {
        Engine::new(clients.clone()).with(Toy { table: database.table_name("StockTable") })
    }

    /// Delivers one batch from one partition.
    pub(crate) async fn deliver(&self, records: &[Value]) -> Result<BatchResponse, BatchError> {
        let event =
            json!({ "eventSource": "aws:kafka", "records": { "order.validated-0": records } });
        let event: KafkaEvent = serde_json::from_str(&event.to_string()).unwrap();
        self.engine.handle(&event, tokio::time::Instant::now() + Duration::from_secs(20)).await
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
            .expect("stock is put");
    }

    pub(crate) async fn available(&self, sku: &str) -> String {
        let answer = self
            .database
            .client()
            .get_item()
            .table_name(self.database.table_name("StockTable"))
            .key("sku", AttributeValue::S(sku.to_owned()))
            .send()
            .await
            .expect("stock is read");
        answer.item.unwrap()["available"].as_n().unwrap().clone()
    }

    pub(crate) async fn stored_event(&self, order_id: &str) -> String {
        let row = self.clients.store.row(order_id, StageName::Inventory).await.unwrap();
        match row.expect("there is a row").content {
            Content::Event(event) => event.body,
            Content::Result(result) => panic!("the row holds no event: {result:?}"),
        }
    }

    pub(crate) fn broker_down(&self) {
        self.broker.mock().unwrap().broker_down(1).unwrap();
    }

    pub(crate) fn broker_up(&self) {
        self.broker.mock().unwrap().broker_up(1).unwrap();
    }

    /// What lies on a topic, once it is this many; fails if it does not become so within 10 s.
    pub(crate) fn published(&self, topic: Topic, count: usize) -> Vec<Published> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.bootstrap_servers())
            .set("group.id", "bench")
            .set("fetch.wait.max.ms", "5")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic.name()), Duration::from_secs(5)).unwrap();
        let mut partitions = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            partitions
                .add_partition_offset(topic.name(), partition.id(), Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&partitions).unwrap();
        let (mut published, give_up) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        while published.len() < count {
            assert!(Instant::now() < give_up, "{topic} holds {published:?}, not {count} events");
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else { continue };
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            let headers = message.headers().unwrap().iter();
            published.push(Published {
                key: text(message.key()),
                body: text(message.payload()),
                headers: headers.map(|it| (it.key.to_owned(), text(it.value))).collect(),
            });
        }
        published
    }
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

/// A record that holds an event.
pub(crate) fn record(offset: i64, event: &Value) -> Value {
    garbage(offset, &BASE64_STANDARD.encode(event.to_string()).into())
}

/// A record that holds whatever it is given.
pub(crate) fn garbage(offset: i64, value: &Value) -> Value {
    json!({ "topic": "order.validated", "partition": 0, "offset": offset, "value": value })
}
