//! Bare loops, the lower bound of a stage: for each record they parse the event, and write one row
//! and one Kafka record.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Deserialize;
use serde_json::{Value, json};

const SINGLE_CONCURRENCY: usize = 32;
const STATEMENTS_PER_REQUEST: usize = 25;
const BATCH_CONCURRENCY: usize = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Write {
    Single,
    Batch,
}

impl Write {
    /// Separates the rows of the two loops.
    fn prefix(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
        }
    }
}

#[derive(Deserialize)]
struct KafkaEvent {
    records: HashMap<String, Vec<KafkaRecord>>,
}

#[derive(Deserialize)]
struct KafkaRecord {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderEvent {
    order_id: String,
}

struct Loop {
    write: Write,
    table: String,
    topic: String,
    dynamodb: Client,
    producer: FutureProducer,
}

struct Row {
    id: String,
    body: String,
}

/// Serves invocations until the process is killed.
pub(crate) async fn run(write: Write) -> Result<(), Error> {
    let aws = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .load()
        .await;
    let producer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("KAFKA_BOOTSTRAP_SERVERS")?)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .create()?;
    let bare = &Loop {
        write,
        table: std::env::var("BENCH_TABLE")?,
        topic: std::env::var("BENCH_TOPIC")?,
        dynamodb: Client::new(&aws),
        producer,
    };
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<KafkaEvent>| {
        bare.handle(event.payload).await
    }))
    .await
}

impl Loop {
    async fn handle(&self, event: KafkaEvent) -> Result<Value, Error> {
        let records = event.records.into_values().flatten();
        let rows: Vec<Row> = records.map(|record| self.row(&record)).collect::<Result<_, _>>()?;
        match self.write {
            Write::Single => self.put(&rows).await?,
            Write::Batch => self.insert(&rows).await?,
        }
        let sent = rows.iter().map(|row| {
            let record = FutureRecord::to(&self.topic).key(&row.id).payload(&row.body);
            self.producer.send(record, Duration::from_secs(5))
        });
        try_join_all(sent).await.map_err(|(error, _)| error)?;
        Ok(json!({ "batchItemFailures": [] }))
    }

    fn row(&self, record: &KafkaRecord) -> Result<Row, Error> {
        let body = String::from_utf8(BASE64_STANDARD.decode(&record.value)?)?;
        let event: OrderEvent = serde_json::from_str(&body)?;
        Ok(Row { id: format!("{}/{}", self.write.prefix(), event.order_id), body })
    }

    async fn put(&self, rows: &[Row]) -> Result<(), Error> {
        let puts = rows.iter().map(|row| {
            self.dynamodb
                .put_item()
                .table_name(&self.table)
                .item("id", AttributeValue::S(row.id.clone()))
                .item("event", AttributeValue::S(row.body.clone()))
                .condition_expression("attribute_not_exists(id)")
                .send()
        });
        stream::iter(puts)
            .buffer_unordered(SINGLE_CONCURRENCY)
            .try_for_each(async |_| Ok(()))
            .await?;
        Ok(())
    }

    async fn insert(&self, rows: &[Row]) -> Result<(), Error> {
        let statement = format!("INSERT INTO \"{}\" VALUE {{'id': ?, 'event': ?}}", self.table);
        let requests = rows.chunks(STATEMENTS_PER_REQUEST).map(async |rows| {
            let statements = rows.iter().map(|row| {
                BatchStatementRequest::builder()
                    .statement(&statement)
                    .parameters(AttributeValue::S(row.id.clone()))
                    .parameters(AttributeValue::S(row.body.clone()))
                    .build()
            });
            let statements = statements.collect::<Result<_, _>>()?;
            let request = self.dynamodb.batch_execute_statement().set_statements(Some(statements));
            // The request succeeds even if a statement failed.
            let responses = request.send().await?.responses.unwrap_or_default();
            match responses.into_iter().find_map(|response| response.error) {
                Some(error) => Err(Error::from(format!("cannot insert a row: {error:?}"))),
                None => Ok(()),
            }
        });
        stream::iter(requests)
            .buffer_unordered(BATCH_CONCURRENCY)
            .try_for_each(async |()| Ok(()))
            .await
    }
}
