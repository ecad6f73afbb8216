//! Statements on the orders table. A row is inserted only if there is none, and never changed.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{
        BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
        KeysAndAttributes, builders::KeysAndAttributesBuilder,
    },
};

use contracts::FailureReason;
use jiff::Timestamp;

use crate::{
    Row, RowKey, TransientError,
    error::PermanentError,
    row::{Item, UnreadableRow},
};

/// The most keys of one look-up: the limit of `BatchGetItem`.
pub const MAX_KEYS: usize = 100;

/// The most rows of one insert: the limit of `BatchExecuteStatement`.
pub(crate) const MAX_ROWS: usize = 25;

/// The most bytes of one insert. No limit is documented; this is that of `TransactWriteItems`.
pub(crate) const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;

const LOOK_UP: &str = "look up rows";
const OPERATION: &str = "insert rows";

/// Provided by `main`; nothing else reads the system clock.
pub type Clock = fn() -> Timestamp;

/// The orders table.
#[derive(Debug, Clone)]
pub struct OrdersTable {
    /// Also for a function's own statements.
    pub client: Client,
    /// The table's name.
    pub name: String,
    /// Detects expired rows: DynamoDB removes them only days later.
    pub clock: Clock,
}

/// The outcome of inserting one row.
#[derive(Debug)]
pub(crate) enum Inserted {
    /// The row is new, and its effects have happened.
    New,
    /// A row exists; nothing has changed.
    Existing,
    /// The condition of an effect failed; nothing has changed.
    Refused(FailureReason),
    /// Blocked by others of its group: insert it in another group.
    Regroup,
    /// Uncertain, because earlier rows of its group come first: insert it alone.
    Alone,
    /// Only this row failed, until a person corrects an item.
    Permanent(PermanentError),
    /// Only this row failed; retryable.
    Failed(TransientError),
    /// The whole request failed; retryable.
    RequestFailed(TransientError),
}

impl Inserted {
    /// The outcome of every row of a request that failed as a whole.
    pub(crate) fn all_failed(rows: usize, error: &TransientError) -> Vec<Self> {
        (0..rows).map(|_| Self::RequestFailed(error.clone())).collect()
    }
}

impl OrdersTable {
    /// Opens a connection by reading a key that has no row.
    pub(crate) async fn connect(&self) -> Result<(), TransientError> {
        let stage = contracts::StageName::OrderApi;
        self.get_all(&[RowKey { id: "warm-up".to_owned(), stage }]).await.map(drop)
    }

    /// Reads the rows with these keys that have not expired, at most [`MAX_KEYS`], consistently. An
    /// unreadable row is an error for its key only.
    ///
    /// # Errors
    /// If a request fails, or DynamoDB processes none of the keys.
    pub async fn get_all(
        &self,
        keys: &[RowKey],
    ) -> Result<HashMap<RowKey, Result<Row, UnreadableRow>>, TransientError> {
        let mut found = HashMap::with_capacity(keys.len());
        let now = self.now();
        let consistent = KeysAndAttributes::builder().consistent_read(true);
        self.get_items(LOOK_UP, keys, consistent, |item| {
            let (key, row) = Row::from_item(&item);
            let is_expired = row.as_ref().is_ok_and(|row| row.is_expired(now));
            found.extend(key.filter(|_| !is_expired).map(|key| (key, row)));
        })
        .await?;
        Ok(found)
    }

    /// Reads the items with these keys, at most [`MAX_KEYS`], with the consistency and the
    /// projection of `read`.
    ///
    /// # Errors
    /// If a request fails, or DynamoDB processes none of the keys.
    pub async fn get_items(
        &self,
        operation: &'static str,
        keys: &[RowKey],
        read: KeysAndAttributesBuilder,
        mut each: impl FnMut(Item),
    ) -> Result<(), TransientError> {
        let mut left: Vec<Item> = keys.iter().map(RowKey::to_item).collect();
        // A response ends at 16 MB and lists the unprocessed keys.
        while !left.is_empty() {
            let asked = left.len();
            let request = read.clone().set_keys(Some(left)).build();
            let request = request.map_err(|error| TransientError::new(operation, error))?;
            let request = self.client.batch_get_item().request_items(&self.name, request);
            let response = request.send().await;
            let response = response.map_err(|error| TransientError::aws(operation, &error))?;
            let mut tables = response.responses.unwrap_or_default();
            tables.remove(&self.name).unwrap_or_default().into_iter().for_each(&mut each);
            let mut unprocessed = response.unprocessed_keys.unwrap_or_default();
            left = unprocessed.remove(&self.name).map(|keys| keys.keys).unwrap_or_default();
            if left.len() == asked {
                return Err(TransientError::new(operation, "no key was processed"));
            }
        }
        Ok(())
    }

    /// The current time, in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        (self.clock)().as_second()
    }

    /// Inserts each row that does not exist, at most [`MAX_ROWS`]; the outcomes are in their order.
    pub(crate) async fn insert_all(&self, rows: &[&Row]) -> Vec<Inserted> {
        let failed = |error| Inserted::all_failed(rows.len(), &error);
        let statements: Result<Vec<_>, _> = rows.iter().map(|row| self.insert(row)).collect();
        let statements = match statements {
            Ok(statements) => statements,
            Err(error) => return failed(TransientError::new(OPERATION, error)),
        };
        let request = self.client.batch_execute_statement().set_statements(Some(statements));
        match request.send().await {
            Ok(response) if response.responses().len() == rows.len() => {
                response.responses().iter().map(outcome).collect()
            }
            Ok(_) => {
                failed(TransientError::new(OPERATION, "the response does not match the request"))
            }
            Err(error) => failed(TransientError::aws(OPERATION, &error)),
        }
    }

    /// A conditional insert: PartiQL's `INSERT` fails if an item of that key exists.
    fn insert(
        &self,
        row: &Row,
    ) -> Result<BatchStatementRequest, aws_sdk_dynamodb::error::BuildError> {
        let mut statement = format!("INSERT INTO \"{}\" VALUE {{", self.name);
        let mut parameters = Vec::with_capacity(7);
        for (name, value) in row.attributes() {
            if !parameters.is_empty() {
                statement.push(',');
            }
            statement.push('\'');
            statement.push_str(name);
            statement.push_str("':?");
            parameters.push(value);
        }
        statement.push('}');
        BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(parameters))
            .build()
    }
}

fn outcome(response: &BatchStatementResponse) -> Inserted {
    let Some(error) = response.error() else { return Inserted::New };
    match error.code() {
        Some(BatchStatementErrorCodeEnum::DuplicateItem) => Inserted::Existing,
        code => {
            let code = code.map_or("unknown", BatchStatementErrorCodeEnum::as_str);
            Inserted::Failed(TransientError::new(OPERATION, code.to_owned()))
        }
    }
}
