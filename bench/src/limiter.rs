//! A proxy in front of the database that enforces DynamoDB's limits for one item.
//!
//! Each item has 1,000 write units a second; a transaction takes twice the units. Writes to the
//! items of a transaction in flight conflict. Conflicting and throttled writes take no units.
//! Reads, `BatchWriteItem` and statements other than `INSERT` are not limited.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::error::{Context, Result};
use crate::limit_response::{cancelled, rejected, respond, statement_error};
use crate::limited_items::{Items, Limit};
use crate::upstream::{Upstream, operation};
use crate::written_items::TableKeys;

/// The minimum duration of a transaction, during which others conflict with it.
pub(crate) const TRANSACTION_LATENCY: Duration = Duration::from_millis(8);

/// The proxy; ends when dropped.
pub(crate) struct Limiter {
    pub(crate) url: String,
    pub(crate) items: Items,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Limited {
    upstream: Upstream,
    keys: TableKeys,
    items: Items,
}

impl Limiter {
    /// Starts the proxy in front of a database with these tables.
    pub(crate) async fn start(database_url: &str, keys: TableKeys) -> Result<Self> {
        let failed = "cannot start the limiter";
        let listener = TcpListener::bind("127.0.0.1:0").await.context(failed)?;
        let url = format!("http://{}", listener.local_addr().context(failed)?);
        let items = Items::default();
        let limited =
            Limited { upstream: Upstream::new(database_url)?, keys, items: items.clone() };
        let app = Router::new().fallback(serve).with_state(limited);
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.ok();
        });
        Ok(Self { url, items, server })
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(limited): State<Limited>, headers: HeaderMap, body: Bytes) -> Response {
    // A separate task: a transaction continues if its client disconnects.
    let served = tokio::spawn(async move { limited.serve(headers, body).await });
    served.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Limited {
    async fn serve(&self, headers: HeaderMap, body: Bytes) -> Response {
        let request: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        match operation(&headers).as_str() {
            "TransactWriteItems" => self.transaction(headers, body, &request).await,
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                let write = self.keys.single(&request);
                match write.map_or(Ok(()), |write| self.items.write(&write, Instant::now())) {
                    Ok(()) => self.forward(headers, body).await,
                    Err(limit) => respond(StatusCode::BAD_REQUEST, &rejected(limit)),
                }
            }
            "BatchExecuteStatement" => self.statements(headers, body, &request).await,
            _ => self.forward(headers, body).await,
        }
    }

    async fn forward(&self, headers: HeaderMap, body: Bytes) -> Response {
        self.upstream.send(headers, body).await.map_or_else(|it| it, IntoResponse::into_response)
    }

    async fn transaction(&self, headers: HeaderMap, body: Bytes, request: &Value) -> Response {
        let begun = self.items.begin(&self.keys.actions(request), Instant::now());
        let transaction = match begun {
            Ok(transaction) => transaction,
            Err(limits) => {
                sleep(TRANSACTION_LATENCY).await;
                return respond(StatusCode::BAD_REQUEST, &cancelled(&limits));
            }
        };
        let forwarded = self.forward(headers, body);
        let (response, ()) = tokio::join!(forwarded, sleep(TRANSACTION_LATENCY));
        drop(transaction);
        response
    }

    /// Forwards the statements within their limits, and merges the responses in order.
    async fn statements(&self, mut headers: HeaderMap, body: Bytes, request: &Value) -> Response {
        let now = Instant::now();
        let writes = self.keys.statements(request).into_iter();
        let limits: Vec<Option<Limit>> =
            writes.map(|write| self.items.write(&write?, now).err()).collect();
        if limits.iter().all(Option::is_none) {
            return self.forward(headers, body).await;
        }
        let statements = request["Statements"].as_array().into_iter().flatten();
        let within = statements.zip(&limits).filter(|(_, limit)| limit.is_none());
        let within: Vec<Value> = within.map(|(statement, _)| statement.clone()).collect();
        let mut responses = Vec::new();
        if !within.is_empty() {
            let mut request = request.clone();
            if let Some(statements) = request.get_mut("Statements") {
                *statements = within.into();
            }
            headers.remove(header::CONTENT_LENGTH);
            let reply = match self.upstream.send(headers, request.to_string().into()).await {
                Ok(reply) => reply,
                Err(status) => return status,
            };
            let mut body: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
            match body.get_mut("Responses").map(Value::take) {
                Some(Value::Array(forwarded)) => responses = forwarded,
                _ => return reply.into_response(),
            }
        }
        let mut responses = responses.into_iter();
        let merged = limits.into_iter().map(|limit| match limit {
            Some(limit) => statement_error(limit),
            None => responses.next().unwrap_or(Value::Null),
        });
        respond(StatusCode::OK, &json!({ "Responses": merged.collect::<Vec<_>>() }))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use aws_sdk_dynamodb::error::SdkError;
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
    use aws_sdk_dynamodb::types::{
        AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, Put, TransactWriteItem,
    };
    use emulator::aws_settings::AwsSettings;
    use emulator::database::Database;
    use emulator::template::{KeyElement, Table};

    use super::*;
    use crate::written_items::Write;

    type Result<T, E> = std::result::Result<T, E>;

    fn keys() -> TableKeys {
        TableKeys([("Items".to_owned(), vec!["id".to_owned()])].into())
    }

    /// A limiter in front of an embedded database with one table, and a client without retries.
    async fn limited() -> (Database, Limiter, Client) {
        let database = Database::embedded(&AwsSettings::default(), "").await.unwrap();
        let key = vec![KeyElement { attribute: "id".to_owned(), kind: "HASH".to_owned() }];
        let table = Table {
            logical_id: "Items".to_owned(),
            attributes: vec![("id".to_owned(), "S".to_owned())],
            key,
            indexes: Vec::new(),
            time_to_live: None,
        };
        database.create_tables(&[table]).await.unwrap();
        let limiter = Limiter::start(database.endpoint(), keys()).await.unwrap();
        let config = database.client().config().to_builder().endpoint_url(&limiter.url);
        let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
        (database, limiter, client)
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn write(id: &str, units: u64) -> Write {
        let put = json!({ "TableName": "Items", "Item": { "id": { "S": id } } });
        Write { units, ..keys().single(&put).unwrap() }
    }

    /// Runs a transaction of puts; returns the cancellation codes.
    async fn transact(client: &Client, ids: &[&str]) -> Vec<String> {
        let puts = ids.iter().map(|id| {
            let put = Put::builder().table_name("Items").item("id", text(id)).build().unwrap();
            TransactWriteItem::builder().put(put).build()
        });
        let request = client.transact_write_items().set_transact_items(Some(puts.collect()));
        let Err(error) = request.send().await else { return Vec::new() };
        let TransactWriteItemsError::TransactionCanceledException(cancelled) =
            error.into_service_error()
        else {
            panic!("the transaction is not cancelled");
        };
        let reasons = cancelled.cancellation_reasons().iter();
        let codes: Vec<String> = reasons.map(|it| it.code().unwrap().to_owned()).collect();
        let message = cancelled.message().unwrap();
        assert!(message.ends_with(&format!("[{}]", codes.join(", "))), "{message}");
        codes
    }

    async fn put(client: &Client, id: &str) -> Result<(), PutItemError> {
        let put = client.put_item().table_name("Items").item("id", text(id)).send().await;
        put.map(|_| ()).map_err(SdkError::into_service_error)
    }

    /// Inserts by statements; returns the error code of each.
    async fn insert(client: &Client, ids: &[&str]) -> Vec<Option<BatchStatementErrorCodeEnum>> {
        let statement = r#"INSERT INTO "Items" VALUE {'id': ?}"#;
        let statements = ids.iter().map(|id| {
            let insert = BatchStatementRequest::builder().statement(statement);
            insert.parameters(text(id)).build().unwrap()
        });
        let request = client.batch_execute_statement().set_statements(Some(statements.collect()));
        let responses = request.send().await.unwrap().responses.unwrap();
        responses.into_iter().map(|response| response.error?.code).collect()
    }

    #[tokio::test]
    async fn the_sdk_reads_conflicts_with_a_transaction_in_flight() {
        let (_database, limiter, client) = limited().await;
        let in_flight = limiter.items.begin(&[Some(write("hot", 1))], Instant::now()).unwrap();
        let codes = transact(&client, &["a", "hot", "b"]).await;
        assert_eq!(codes, ["None", "TransactionConflict", "None"]);
        assert!(put(&client, "hot").await.unwrap_err().is_transaction_conflict_exception());
        let codes = insert(&client, &["hot", "c"]).await;
        assert_eq!(codes, [Some(BatchStatementErrorCodeEnum::TransactionConflict), None]);
        drop(in_flight);
        assert!(transact(&client, &["a", "hot", "b"]).await.is_empty());
        assert_eq!(client.scan().table_name("Items").send().await.unwrap().count(), 4);
    }

    #[tokio::test]
    async fn the_sdk_reads_throttling() {
        let (_database, limiter, client) = limited().await;
        limiter.items.write(&write("hot", 10_000), Instant::now()).unwrap();
        assert_eq!(transact(&client, &["a", "hot"]).await, ["None", "ThrottlingError"]);
        let error = put(&client, "hot").await.unwrap_err();
        assert!(error.is_provisioned_throughput_exceeded_exception(), "{error:?}");
        let codes = insert(&client, &["a", "hot", "b"]).await;
        assert_eq!(codes, [None, Some(BatchStatementErrorCodeEnum::ThrottlingError), None]);
        assert_eq!(insert(&client, &["hot"]).await.len(), 1);
        assert_eq!(client.scan().table_name("Items").send().await.unwrap().count(), 2);
    }
}
