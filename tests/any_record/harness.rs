//! The harness: every Kafka-triggered stage in one process, an embedded broker, an embedded database.

use std::{path::Path, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::Topic;
use engine::{Context, Engine, OrdersTable, Publisher, lambda_event::KafkaEvent};
use inventory::{Release, Reserve, StockTable};
use jiff::{SignedDuration, Timestamp};
use kafka::{Brokers, Producer};
use local::{aws_settings::AwsSettings, broker::Broker, database::Database, template::Template};
use notification::{Channel, Notify};
use order_api::Close;
use payment::{Charge, Provider, Wallet};
use serde_json::{Value, json};
use tokio::time::Instant;
use validator::Validate;

/// The time for one delivery.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Harness {
    engines: Vec<Engine>,
    _broker: Broker,
    database: Database,
}

/// A record as the mapping sends it, but for its position.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) value: Vec<u8>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    pub(crate) fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }
}

impl Harness {
    pub(crate) async fn start() -> Self {
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
            },
            publisher: Publisher::new(Producer::new(&brokers, DEADLINE).unwrap()),
            clock: Timestamp::now,
            row_ttl: SignedDuration::from_hours(24),
            reports_batch_item_failures: true,
        };
        let stock = StockTable(database.table_name("StockTable"));
        let wallet = Wallet { accounts_table: database.table_name("AccountsTable") };
        let reserve = Reserve { stock: stock.clone() };
        let engine = || Engine::new(context.clone());
        let engines = vec![
            engine().with(Validate { currency_decimals: 2 }),
            engine().with(reserve).with(Release { stock }),
            engine().with(Charge { provider: Provider::Wallet(wallet) }),
            engine().with(Notify { channel: Channel::Log }),
            engine().with(Close),
        ];
        Self { engines, _broker: broker, database }
    }

    /// Delivers the record twice, to every function that its topic triggers; both succeed.
    pub(crate) async fn deliver_twice(&self, topic: Topic, offset: i64, record: &Record) {
        let key = record.key.as_ref().map(|key| BASE64_STANDARD.encode(key));
        let headers: Vec<Value> =
            record.headers.iter().map(|(name, bytes)| json!({ name: bytes })).collect();
        let event = json!({ "eventSource": "aws:kafka", "records": { format!("{topic}-0"): [{
            "topic": topic.name(), "partition": 0, "offset": offset, "timestamp": 1,
            "timestampType": "CREATE_TIME", "key": key, "headers": headers,
            "value": BASE64_STANDARD.encode(&record.value),
        }] } });
        let event = event.to_string();
        let event: KafkaEvent = serde_json::from_str(&event).unwrap();
        for delivery in ["first", "second"] {
            let mut consumers = 0;
            for engine in &self.engines {
                match engine.handle(&event, Instant::now() + DEADLINE).await {
                    Ok(response) => {
                        assert!(response.is_success(), "{topic}: {delivery}: {response:?}");
                        consumers += 1;
                    }
                    Err(error) => assert!(error.to_string().contains("consumes"), "{error}"),
                }
            }
            assert!(consumers > 0, "{topic} triggers no function");
        }
    }

    pub(crate) async fn put(&self, table: &str, item: &[(&str, AttributeValue)]) {
        let item = item.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let put = self.database.client().put_item().table_name(self.database.table_name(table));
        put.set_item(Some(item.collect())).send().await.expect("the item is put");
    }
}
