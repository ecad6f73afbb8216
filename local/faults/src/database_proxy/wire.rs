//! Responses in place of DynamoDB's, in its wire format.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use serde_json::{Map, Value, json};

use super::{
    call::{Call, array},
    exchange::Reply,
    fault::Rejection,
};
const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";
/// The layer before DynamoDB: it throttles, and rejects what its hosts cannot take.
const FRONT_END: &str = "com.amazon.coral.availability#";
const CONFLICT: &str = "Transaction is ongoing for the item";
const THROTTLED: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB \
                         is automatically scaling your table or index so please try again shortly.";
const PROVISIONED: &str = "The level of configured provisioned throughput for the table was \
                           exceeded. Consider increasing your provisioning level with the \
                           UpdateTable API.";

impl Rejection {
    pub(super) fn reply(self) -> Reply {
        let (status, namespace, name, message) = match self {
            Self::ProvisionedThroughputExceeded => {
                (400, DYNAMODB, "ProvisionedThroughputExceededException", PROVISIONED)
            }
            Self::RequestLimitExceeded => {
                let message = "Throughput exceeds the current throughput limit for your account.";
                (400, DYNAMODB, "RequestLimitExceeded", message)
            }
            Self::TransactionInProgress => {
                let message = "Transaction token is in progress";
                (400, DYNAMODB, "TransactionInProgressException", message)
            }
            Self::InternalServerError => {
                (500, DYNAMODB, "InternalServerError", "Internal server error")
            }
            Self::ServiceUnavailable => {
                let message = "The service cannot process the request at this time.";
                (503, FRONT_END, "ServiceUnavailableException", message)
            }
        };
        let body = json!({ "__type": format!("{namespace}{name}"), "message": message });
        json_reply(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &body)
    }
}

/// The error of a request that is throttled as a whole.
pub(super) fn throttled() -> Reply {
    let kind = format!("{FRONT_END}ThrottlingException");
    json_reply(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "message": THROTTLED }))
}

/// The error of a single write beyond a limit of its item.
pub(super) fn rejected_write(code: &str) -> Reply {
    let name = match code {
        "TransactionConflict" => "TransactionConflictException",
        _ => "ProvisionedThroughputExceededException",
    };
    let body = json!({ "__type": format!("{DYNAMODB}{name}"), "message": message(code) });
    json_reply(StatusCode::BAD_REQUEST, &body)
}

/// The error of a transaction with a code for each rejected action.
pub(super) fn cancelled(codes: &[Option<&str>]) -> Reply {
    let reasons: Vec<Value> = codes
        .iter()
        .map(|code| match code {
            Some(code) => json!({ "Code": code, "Message": message(code) }),
            None => json!({ "Code": "None" }),
        })
        .collect();
    let codes: Vec<_> = codes.iter().map(|code| code.unwrap_or("None")).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    let kind = format!("{DYNAMODB}TransactionCanceledException");
    let body = json!({ "__type": kind, "Message": message, "CancellationReasons": reasons });
    json_reply(StatusCode::BAD_REQUEST, &body)
}

fn message(code: &str) -> &'static str {
    match code {
        "TransactionConflict" => CONFLICT,
        "ProvisionedThroughputExceeded" => PROVISIONED,
        "InternalServerError" => "Internal server error",
        _ => THROTTLED,
    }
}

/// The batch without its rejected statements; `None` if none is left.
pub(super) fn without_rejected(call: &Call, codes: &[Option<&str>]) -> Option<Value> {
    let statements = call.parts().into_iter().zip(codes).filter(|(_, code)| code.is_none());
    let left: Vec<Value> = statements.map(|(statement, _)| statement.clone()).collect();
    (!left.is_empty()).then(|| with(&call.body, "Statements", left.into()))
}

/// The response to the batch, with an error for each rejected statement.
pub(super) fn with_rejected(executed: Option<&Reply>, codes: &[Option<&str>]) -> Reply {
    let body = match executed {
        Some(reply) if reply.status != StatusCode::OK => return reply.clone(),
        Some(reply) => serde_json::from_slice(&reply.body).unwrap_or_default(),
        None => Value::Null,
    };
    let mut carried_out = array(&body, "Responses").to_vec().into_iter();
    let responses = codes.iter().map(|code| match code {
        Some(code) => json!({ "Error": { "Code": code, "Message": message(code) } }),
        None => carried_out.next().unwrap_or_default(),
    });
    json_reply(StatusCode::OK, &with(&body, "Responses", responses.collect()))
}

/// A `BatchGetItem` with the keys at these places, or with the others; `None` if there are none.
pub(super) fn keys_at(call: &Call, places: &[usize], are_kept: bool) -> Option<Value> {
    let mut place = 0;
    let mut tables = Map::new();
    for (table, asked) in call.asked() {
        let keys: Vec<Value> = array(asked, "Keys")
            .iter()
            .filter(|_| {
                place += 1;
                places.contains(&(place - 1)) == are_kept
            })
            .cloned()
            .collect();
        if !keys.is_empty() {
            tables.insert(table.clone(), with(asked, "Keys", keys.into()));
        }
    }
    (!tables.is_empty()).then(|| with(&call.body, "RequestItems", tables.into()))
}

/// The response to a `BatchGetItem` with the keys at these places unprocessed.
pub(super) fn with_unprocessed(executed: Option<&Reply>, call: &Call, places: &[usize]) -> Reply {
    let body = match executed {
        Some(reply) if reply.status != StatusCode::OK => return reply.clone(),
        Some(reply) => serde_json::from_slice(&reply.body).unwrap_or_default(),
        None => json!({ "Responses": {} }),
    };
    let unprocessed = keys_at(call, places, true);
    let unprocessed = unprocessed.and_then(|asked| asked.get("RequestItems").cloned());
    json_reply(StatusCode::OK, &with(&body, "UnprocessedKeys", unprocessed.unwrap_or_default()))
}

/// The object with another value of a field.
fn with(object: &Value, field: &str, value: Value) -> Value {
    let mut object = object.as_object().cloned().unwrap_or_default();
    object.insert(field.to_owned(), value);
    object.into()
}

pub(super) fn empty(status: StatusCode) -> Reply {
    Reply { status, headers: HeaderMap::new(), body: Bytes::new() }
}

fn json_reply(status: StatusCode, body: &Value) -> Reply {
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
    Reply { status, headers, body: body.to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &Reply) -> Value {
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn a_rejected_statement_keeps_its_place_among_the_responses() {
        let body_of = json!({ "Statements": ["first", "second", "third"] }).to_string();
        let call = Call::read("BatchExecuteStatement", body_of.as_bytes());
        let codes = [None, Some("ThrottlingError"), None];
        let others = without_rejected(&call, &codes);
        assert_eq!(others, Some(json!({ "Statements": ["first", "third"] })));
        let executed = json!({ "Responses": [{ "n": 1 }, { "n": 3 }] });
        let executed = json_reply(StatusCode::OK, &executed);
        let response = body(&with_rejected(Some(&executed), &codes));
        let responses = response["Responses"].as_array().unwrap();
        assert_eq!((&responses[0]["n"], &responses[2]["n"]), (&json!(1), &json!(3)));
        assert_eq!(responses[1]["Error"]["Code"], "ThrottlingError");
        assert_eq!(without_rejected(&call, &[Some("ThrottlingError"); 3]), None);
    }

    #[test]
    fn a_cancelled_transaction_has_a_reason_for_each_action() {
        let error = body(&cancelled(&[None, Some("ThrottlingError")]));
        assert_eq!(error["CancellationReasons"][0]["Code"], "None");
        assert_eq!(error["CancellationReasons"][1]["Code"], "ThrottlingError");
        assert!(error["Message"].as_str().unwrap().ends_with("[None, ThrottlingError]"));
    }

    #[test]
    fn unprocessed_keys_have_the_settings_of_their_request() {
        let asked = json!({ "ConsistentRead": true, "Keys": ["a", "b", "c"] });
        let request = json!({ "RequestItems": { "Orders": asked } }).to_string();
        let call = Call::read("BatchGetItem", request.as_bytes());
        let left = keys_at(&call, &[1], false).unwrap();
        assert_eq!(left["RequestItems"]["Orders"]["Keys"], json!(["a", "c"]));
        let response = body(&with_unprocessed(None, &call, &[1]));
        let unprocessed = &response["UnprocessedKeys"]["Orders"];
        assert_eq!(unprocessed, &json!({ "ConsistentRead": true, "Keys": ["b"] }));
        assert_eq!(keys_at(&call, &[0, 1, 2], false), None);
    }
}
