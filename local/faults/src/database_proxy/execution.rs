//! Executes requests at the database, within the limits of their items.
//!
//! Each item has 1,000 write units a second; a transaction takes twice the units. Writes to the
//! items of a transaction in flight conflict. Conflicting and throttled writes take no units.
//! Reads, `BatchWriteItem` and statements other than `INSERT` are not limited.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode},
};
use tokio::time::sleep;

use super::{call::Call, exchange::Reply, fault::Fault, wire};
use crate::{
    item_limit::{
        limited_items::{Items, Limit, TRANSACTION_LATENCY},
        written_items::TableKeys,
    },
    upstream::Upstream,
};

/// The database, and the limits of its items.
#[derive(Clone)]
pub(super) struct Execution {
    pub(super) upstream: Upstream,
    pub(super) limits: Arc<Mutex<Option<Arc<Limits>>>>,
}

/// The limits for single items.
pub(super) struct Limits {
    pub(super) keys: TableKeys,
    pub(super) items: Items,
}

/// A request as it came.
pub(super) struct Incoming {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) call: Call,
}

/// The responses to a request, and its fault.
pub(super) struct Outcome {
    /// The response of the database.
    pub(super) executed: Option<Reply>,
    /// The response for the client; `None` to cut the connection.
    pub(super) response: Option<Reply>,
    pub(super) fault: Option<Fault>,
}

/// Locks, also after a panic elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Execution {
    /// Executes a request, unless a limit of an item rejects it.
    pub(super) async fn execute(&self, incoming: Incoming) -> Outcome {
        let limits: Option<Arc<Limits>> = lock(&self.limits).clone();
        let Some(limits) = limits else { return self.forward(incoming).await };
        match incoming.call.operation.as_str() {
            "TransactWriteItems" => self.transact_within(&limits, incoming).await,
            "PutItem" | "UpdateItem" | "DeleteItem" => self.write_within(&limits, incoming).await,
            "BatchExecuteStatement" => self.run_within(&limits, incoming).await,
            _ => self.forward(incoming).await,
        }
    }

    async fn transact_within(&self, limits: &Limits, incoming: Incoming) -> Outcome {
        let writes = limits.keys.actions(&incoming.call.body);
        match limits.items.begin(&writes, Instant::now()) {
            Ok(transaction) => {
                let forwarded = self.forward(incoming);
                let (outcome, ()) = tokio::join!(forwarded, sleep(TRANSACTION_LATENCY));
                drop(transaction);
                outcome
            }
            Err(limits) => {
                sleep(TRANSACTION_LATENCY).await;
                let codes: Vec<_> = limits.iter().map(|it| it.map(Limit::code)).collect();
                Outcome::withheld(Some(wire::cancelled(&codes))).with(Fault::ItemLimit)
            }
        }
    }

    async fn write_within(&self, limits: &Limits, incoming: Incoming) -> Outcome {
        let write = limits.keys.single(&incoming.call.body);
        match write.and_then(|write| limits.items.write(&write, Instant::now()).err()) {
            None => self.forward(incoming).await,
            Some(limit) => {
                let rejected = wire::rejected_write(limit.code());
                Outcome::withheld(Some(rejected)).with(Fault::ItemLimit)
            }
        }
    }

    async fn run_within(&self, limits: &Limits, incoming: Incoming) -> Outcome {
        let now = Instant::now();
        let writes = limits.keys.statements(&incoming.call.body).into_iter();
        let limit = |write: Option<_>| limits.items.write(&write?, now).err().map(Limit::code);
        let codes: Vec<_> = writes.map(limit).collect();
        if codes.iter().all(Option::is_none) {
            return self.forward(incoming).await;
        }
        self.reject_statements(&codes, incoming).await.with(Fault::ItemLimit)
    }

    async fn forward(&self, incoming: Incoming) -> Outcome {
        let Incoming { headers, body, .. } = incoming;
        let executed = self.upstream.send(Method::POST, "", headers, body).await;
        let response = executed.clone().unwrap_or_else(|| wire::empty(StatusCode::BAD_GATEWAY));
        Outcome { executed, response: Some(response), fault: None }
    }

    /// Rejects parts with these codes, and executes the other statements of a batch.
    pub(super) async fn reject_items(&self, codes: &[Option<&str>], incoming: Incoming) -> Outcome {
        match incoming.call.operation.as_str() {
            "BatchExecuteStatement" => self.reject_statements(codes, incoming).await,
            "TransactWriteItems" => Outcome::withheld(Some(wire::cancelled(codes))),
            _ => {
                let code = codes.iter().flatten().next().copied().unwrap_or_default();
                Outcome::withheld(Some(wire::rejected_write(code)))
            }
        }
    }

    async fn reject_statements(&self, codes: &[Option<&str>], incoming: Incoming) -> Outcome {
        let executed = match wire::without_rejected(&incoming.call, codes) {
            None => None,
            Some(others) => self.execute_body(&incoming, others.to_string()).await,
        };
        let response = Some(wire::with_rejected(executed.as_ref(), codes));
        Outcome { executed, response, fault: None }
    }

    /// Reads the other keys, and lists those at these places as unprocessed.
    pub(super) async fn leave_keys(&self, places: &[usize], incoming: Incoming) -> Outcome {
        let executed = match wire::keys_at(&incoming.call, places, false) {
            None => None,
            Some(others) => self.execute_body(&incoming, others.to_string()).await,
        };
        let response = wire::with_unprocessed(executed.as_ref(), &incoming.call, places);
        Outcome { executed, response: Some(response), fault: None }
    }

    async fn execute_body(&self, incoming: &Incoming, body: String) -> Option<Reply> {
        self.upstream.send(Method::POST, "", incoming.headers.clone(), body.into()).await
    }
}

impl Outcome {
    /// The outcome of a request that the database does not receive.
    pub(super) fn withheld(response: Option<Reply>) -> Self {
        Self { executed: None, response, fault: None }
    }

    pub(super) fn with(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        error::SdkError,
        operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
        types::{AttributeValue, BatchStatementErrorCodeEnum, Put, TransactWriteItem},
    };
    use serde_json::json;

    use super::{super::tests::Harness, *};
    use crate::item_limit::written_items::Write;

    fn keys() -> TableKeys {
        TableKeys([("Rows".to_owned(), vec!["id".to_owned()])].into())
    }

    async fn limited() -> (Harness, Items) {
        let harness = Harness::start().await;
        let items = harness.proxy.limit_items(keys());
        (harness, items)
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn write(id: &str, units: u64) -> Write {
        let put = json!({ "TableName": "Rows", "Item": { "id": { "S": id } } });
        Write { units, ..keys().single(&put).unwrap() }
    }

    /// Runs a transaction of puts; returns the cancellation codes.
    async fn transact(harness: &Harness, ids: &[&str]) -> Vec<String> {
        let puts = ids.iter().map(|id| {
            let put = Put::builder().table_name("Rows").item("id", text(id)).build().unwrap();
            TransactWriteItem::builder().put(put).build()
        });
        let request = harness.client.transact_write_items();
        let response = request.set_transact_items(Some(puts.collect())).send().await;
        let Err(error) = response else { return Vec::new() };
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

    async fn put(harness: &Harness, id: &str) -> Result<(), PutItemError> {
        let put = harness.client.put_item().table_name("Rows").item("id", text(id)).send().await;
        put.map(|_| ()).map_err(SdkError::into_service_error)
    }

    #[tokio::test]
    async fn the_sdk_reads_conflicts_with_a_transaction_in_flight() {
        let (harness, items) = limited().await;
        let in_flight = items.begin(&[Some(write("hot", 1))], Instant::now()).unwrap();
        let codes = transact(&harness, &["a", "hot", "b"]).await;
        assert_eq!(codes, ["None", "TransactionConflict", "None"]);
        assert!(put(&harness, "hot").await.unwrap_err().is_transaction_conflict_exception());
        let codes = harness.insert(&["hot", "c"]).await;
        let conflict = Some(BatchStatementErrorCodeEnum::TransactionConflict);
        assert_eq!(codes, Ok(vec![conflict, None]));
        drop(in_flight);
        assert!(transact(&harness, &["a", "hot", "b"]).await.is_empty());
        assert_eq!(harness.ids().await, ["a", "b", "c", "hot"]);
    }

    #[tokio::test]
    async fn the_sdk_reads_throttling() {
        let (harness, items) = limited().await;
        let hot = write("hot", 10_000);
        items.write(&hot, Instant::now()).unwrap();
        assert_eq!(transact(&harness, &["a", "hot"]).await, ["None", "ThrottlingError"]);
        let error = put(&harness, "hot").await.unwrap_err();
        assert!(error.is_provisioned_throughput_exceeded_exception(), "{error:?}");
        let throttled = Some(BatchStatementErrorCodeEnum::ThrottlingError);
        let codes = harness.insert(&["a", "hot", "b"]).await;
        assert_eq!(codes, Ok(vec![None, throttled.clone(), None]));
        assert_eq!(harness.insert(&["hot"]).await, Ok(vec![throttled]));
        assert_eq!(items.counts(&hot.item).throttled, 4);
        assert_eq!(harness.ids().await, ["a", "b"]);
    }
}
