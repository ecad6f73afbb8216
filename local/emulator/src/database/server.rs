//! DynamoDB's HTTP protocol in front of the embedded database.
//!
//! `dynoxide` has a server of its own, which answers every page of a browser.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::loopback::body;

/// DynamoDB's limit for a request.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;
const TARGET_PREFIX: &str = "DynamoDB_20120810.";
const JSON: &str = "application/x-amz-json-1.0";

/// The database, and the file that it keeps its items in.
#[derive(Clone)]
pub(super) struct Storage {
    database: Database,
    file: Option<PathBuf>,
    reported: Arc<Once>,
}

impl Storage {
    pub(super) fn new(database: Database, file: Option<PathBuf>) -> Self {
        Self { database, file, reported: Arc::new(Once::new()) }
    }

    /// Logs the first failure of the storage itself, such as a full disk: its callers only get a
    /// status that they retry.
    fn report(&self, error: &DynoxideError) {
        if let Some(line) = failure(self.file.as_deref(), error) {
            self.reported.call_once(|| tracing::error!("{line}"));
        }
    }
}

/// The line for an error that is not the request's.
fn failure(file: Option<&Path>, error: &DynoxideError) -> Option<String> {
    if error.status_code() != StatusCode::INTERNAL_SERVER_ERROR {
        return None;
    }
    Some(match file {
        None => format!("the embedded database fails: {error} (restart it)"),
        Some(file) => format!(
            "cannot use the database {}: {error} (free space on its disk if it is full, else \
             restart)",
            file.display()
        ),
    })
}

pub(super) fn routes(storage: Storage) -> Router {
    Router::new().route("/", post(handle)).with_state(storage)
}

async fn handle(State(storage): State<Storage>, headers: HeaderMap, body: Body) -> Response {
    let Ok(body) = body::receive(body, MAX_REQUEST_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let (status, json) = match execute(&storage.database, operation.unwrap_or_default(), &body) {
        Ok(json) => (StatusCode::OK, json),
        Err(error) => {
            storage.report(&error);
            let status = StatusCode::from_u16(error.status_code());
            (status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
        }
    };
    (status, [(CONTENT_TYPE, JSON)], json).into_response()
}

fn execute(storage: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "CreateTable" => run(body, |request| storage.create_table(request)),
        "UpdateTable" => run(body, |request| storage.update_table(request)),
        "DeleteTable" => run(body, |request| storage.delete_table(request)),
        "DescribeTable" => run(body, |request| storage.describe_table(request)),
        "ListTables" => run(body, |request| storage.list_tables(request)),
        "UpdateTimeToLive" => run(body, |request| storage.update_time_to_live(request)),
        "DescribeTimeToLive" => run(body, |request| storage.describe_time_to_live(request)),
        "PutItem" => run(body, |request| storage.put_item(request)),
        "GetItem" => run(body, |request| storage.get_item(request)),
        "UpdateItem" => run(body, |request| storage.update_item(request)),
        "DeleteItem" => run(body, |request| storage.delete_item(request)),
        "Query" => run(body, |request| storage.query(request)),
        "Scan" => run(body, |request| storage.scan(request)),
        "BatchGetItem" => run(body, |request| storage.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| storage.batch_write_item(request)),
        "TransactGetItems" => run(body, |request| storage.transact_get_items(request)),
        "TransactWriteItems" => run(body, |request| storage.transact_write_items(request)),
        "ExecuteStatement" => run(body, |request| storage.execute_statement(request)),
        "BatchExecuteStatement" => run(body, |request| storage.batch_execute_statement(request)),
        "ExecuteTransaction" => run(body, |request| storage.execute_transaction(request)),
        _ => Err(DynoxideError::ValidationException(format!(
            "the embedded database does not have the operation {operation:?}: \
             use another database with --dynamodb"
        ))),
    }
}

fn run<Request: DeserializeOwned, Output: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Output, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&operation(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_logged_with_its_file_and_an_error_of_a_request_is_not() {
        let file = Some(Path::new("kept/database.sqlite"));
        let full = DynoxideError::InternalServerError("database or disk is full".to_owned());
        let line = failure(file, &full).unwrap();
        let expected = "kept/database.sqlite: database or disk is full (free space on its disk";
        assert!(line.contains(expected), "{line}");
        let rejected = DynoxideError::ValidationException("no such index".to_owned());
        assert_eq!(failure(file, &rejected), None);
    }
}
