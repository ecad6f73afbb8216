//! The reads of the tables: parallel scans, the rows of one order, and what they consume.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity},
};
use engine::row::{INTAKE_SHARDS, Item, attribute::ORDER_ID, intake_partition};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use crate::table_error::TableError;

/// The index of orders by time of intake.
const INTAKE_INDEX: &str = "OrdersByIntake";

/// Limits of the first request: three connections and the pauses between take at most 9 seconds.
const FIRST_ATTEMPTS: u32 = 3;
const FIRST_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);

/// The names of the tables.
#[derive(Debug, Clone)]
pub(crate) struct TableNames {
    pub(crate) orders: String,
    pub(crate) stock: String,
    /// `None` where no customer pays from an account.
    pub(crate) accounts: Option<String>,
}

/// A client that only reads, and counts what it reads.
#[derive(Debug)]
pub(crate) struct Tables {
    client: Client,
    /// DynamoDB with its endpoint or region, for errors.
    database: String,
    pub(crate) names: TableNames,
    /// Scans of this many segments run at a time.
    pub(crate) segments: i32,
    items: AtomicU64,
    /// Tenths of read units.
    tenths: AtomicU64,
}

impl Tables {
    pub(crate) fn new(client: Client, database: String, names: TableNames, segments: i32) -> Self {
        let (items, tenths) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { client, database, names, segments, items, tenths }
    }

    pub(crate) fn items_read(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    /// Rounded up to whole units.
    pub(crate) fn units_read(&self) -> u64 {
        self.tenths.load(Ordering::Relaxed).div_ceil(10)
    }

    /// Reads one row, so that a database that does not respond is an error soon: later requests are
    /// retried for longer.
    pub(crate) async fn check(&self) -> Result<(), TableError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(FIRST_CONNECT_TIMEOUT)
            .operation_timeout(FIRST_TIMEOUT)
            .build();
        let limits = Builder::new()
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(FIRST_ATTEMPTS));
        let request = self.client.scan().table_name(&self.names.orders).limit(1);
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let page = request.customize().config_override(limits).send().await;
        match page.map_err(|error| TableError::new(&self.names.orders, &self.database, &error)) {
            Ok(page) => self.count(page.count, page.consumed_capacity.as_ref()),
            // If it was throttled, the scan succeeds later.
            Err(TableError::Rejected { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Passes every page of one segment of the orders table to `each`. Eventually consistent, at
    /// half the price.
    pub(crate) async fn scan_segment(
        &self,
        segment: i32,
        mut each: impl FnMut(Vec<Item>),
    ) -> Result<(), TableError> {
        let mut after = None;
        loop {
            let request = self.client.scan().table_name(&self.names.orders);
            let request = request.segment(segment).total_segments(self.segments);
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = request.set_exclusive_start_key(after).send().await;
            let page =
                page.map_err(|error| TableError::new(&self.names.orders, &self.database, &error))?;
            self.count(page.count, page.consumed_capacity.as_ref());
            each(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// All items of a small table, read consistently.
    pub(crate) async fn scan_all(&self, table: &str) -> Result<Vec<Item>, TableError> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let request = self.client.scan().table_name(table).consistent_read(true);
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = request.set_exclusive_start_key(after).send().await;
            let page = page.map_err(|error| TableError::new(table, &self.database, &error))?;
            self.count(page.count, page.consumed_capacity.as_ref());
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// All rows of an order, read consistently.
    pub(crate) async fn rows_of(&self, id: &str) -> Result<Vec<Item>, TableError> {
        // Text that cannot be a key has no rows.
        if id.is_empty() || id.len() > 2048 {
            return Ok(Vec::new());
        }
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let request = self.client.query().table_name(&self.names.orders).consistent_read(true);
            let request = request.key_condition_expression(format!("{ORDER_ID} = :id"));
            let request = request.expression_attribute_values(":id", text(id));
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = request.set_exclusive_start_key(after).send().await;
            let page =
                page.map_err(|error| TableError::new(&self.names.orders, &self.database, &error))?;
            self.count(page.count, page.consumed_capacity.as_ref());
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// The ids of the orders that were accepted since a time.
    pub(crate) async fn accepted_since(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<String>, TableError> {
        let mut days = Vec::new();
        let mut at = since;
        while days.last() != Some(&day(now)) {
            days.push(day(at.min(now)));
            at += SignedDuration::from_hours(24);
        }
        let shards = days
            .iter()
            .flat_map(|day| (0..INTAKE_SHARDS).map(move |shard| intake_partition(day, shard)));
        let pages = shards.map(|partition| self.intake_since(partition, since));
        Ok(try_join_all(pages).await?.concat())
    }

    async fn intake_since(
        &self,
        partition: String,
        since: Timestamp,
    ) -> Result<Vec<String>, TableError> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let request =
                self.client.query().table_name(&self.names.orders).index_name(INTAKE_INDEX);
            let request =
                request.key_condition_expression("intake = :day AND acceptedAt >= :since");
            let request = request.expression_attribute_values(":day", text(&partition));
            let request =
                request.expression_attribute_values(":since", text(&format!("{since:.3}")));
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let page = request.set_exclusive_start_key(after).send().await;
            let page =
                page.map_err(|error| TableError::new(&self.names.orders, &self.database, &error))?;
            self.count(page.count, page.consumed_capacity.as_ref());
            let entries = page.items.unwrap_or_default();
            ids.extend(entries.iter().map(|entry| id_of(entry).to_owned()));
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(ids);
            }
        }
    }

    fn count(&self, items: i32, consumed: Option<&ConsumedCapacity>) {
        self.items.fetch_add(u64::try_from(items).unwrap_or_default(), Ordering::Relaxed);
        let units = consumed.and_then(|it| it.capacity_units).unwrap_or_default();
        // DynamoDB counts in halves; one decimal keeps them.
        let tenths = format!("{units:.1}").replace('.', "").parse().unwrap_or_default();
        self.tenths.fetch_add(tenths, Ordering::Relaxed);
    }
}

fn day(at: Timestamp) -> String {
    format!("{at:.3}").chars().take(10).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// The order of an item; empty if it has none.
pub(crate) fn id_of(item: &Item) -> &str {
    item.get(ORDER_ID).and_then(|id| id.as_s().ok()).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_database_that_does_not_respond_is_an_error_after_three_attempts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let attempts = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&attempts);
        tokio::spawn(async move {
            // Each connection is closed at once.
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let error = tables_at(&url).check().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("no response from DynamoDB at {url}: ")), "{error}");
        assert_eq!(attempts.load(Ordering::Relaxed), u64::from(FIRST_ATTEMPTS));
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_sent_is_not_quoted() {
        let error = tables_at("nonsense").check().await.unwrap_err().to_string();
        let start = "no response from DynamoDB at nonsense: endpoint must contain scheme (check";
        assert!(error.starts_with(start), "{error}");
    }

    fn tables_at(url: &str) -> Tables {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
            .retry_config(RetryConfig::standard().with_max_attempts(8))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(url);
        let orders = "Orders".to_owned();
        let names = TableNames { orders, stock: "Stock".to_owned(), accounts: None };
        Tables::new(Client::from_conf(config.build()), format!("DynamoDB at {url}"), names, 1)
    }
}
