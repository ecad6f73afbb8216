//! Responses to requests beyond the limits of an item, in DynamoDB's wire format.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::limited_items::Limit;

const CONFLICT: &str = "Transaction is ongoing for the item";
const THROTTLED: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB \
                         is automatically scaling your table or index so please try again shortly.";

impl Limit {
    /// The code in cancellation reasons and statement responses.
    fn code(self) -> &'static str {
        match self {
            Self::Conflict => "TransactionConflict",
            Self::Throttled => "ThrottlingError",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Conflict => CONFLICT,
            Self::Throttled => THROTTLED,
        }
    }
}

/// The body that cancels a transaction: a reason for each action, in order.
pub(crate) fn cancelled(limits: &[Option<Limit>]) -> Value {
    let codes: Vec<&str> = limits.iter().map(|limit| limit.map_or("None", Limit::code)).collect();
    let reasons: Vec<Value> = limits
        .iter()
        .map(|limit| match limit {
            None => json!({ "Code": "None" }),
            Some(limit) => json!({ "Code": limit.code(), "Message": limit.message() }),
        })
        .collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": reasons,
        "Message": message,
    })
}

/// The body that rejects a write outside transactions.
pub(crate) fn rejected(limit: Limit) -> Value {
    let error = match limit {
        Limit::Conflict => "TransactionConflictException",
        Limit::Throttled => "ProvisionedThroughputExceededException",
    };
    json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{error}"),
        "message": limit.message(),
    })
}

/// The response to one statement of a batch.
pub(crate) fn statement_error(limit: Limit) -> Value {
    json!({ "Error": { "Code": limit.code(), "Message": limit.message() } })
}

/// A body of DynamoDB's protocol.
pub(crate) fn respond(status: StatusCode, body: &Value) -> Response {
    let content_type = (header::CONTENT_TYPE, "application/x-amz-json-1.0");
    (status, [content_type], body.to_string()).into_response()
}
