//! DynamoDB's HTTP protocol in front of the embedded database.
//!
//! `dynoxide` has a server of its own, which answers every page of a browser.

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

pub(super) fn routes(storage: Database) -> Router {
    Router::new().route("/", post(handle)).with_state(storage)
}

async fn handle(State(storage): State<Database>, headers: HeaderMap, body: Body) -> Response {
    let Ok(body) = body::receive(body, MAX_REQUEST_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let (status, json) = match execute(&storage, operation.unwrap_or_default(), &body) {
        Ok(json) => (StatusCode::OK, json),
        Err(error) => {
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
