//! A request of one customer, as API Gateway sends it to the order API, beside another's order.
//!
//! The input is API Gateway's event, or a request as HTTP/1.1 writes it.

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use workflow_tests::api::Api;

use crate::{
    is_one_line,
    stages::{RUNTIME, STAGES},
};

/// A text that only the other customer may read.
const SECRET: &str = "secret-of-the-victim";

/// The statuses that the API has for a request, as `functions/order-api/openapi.yaml` lists them.
const STATUSES: [i64; 13] = [200, 202, 204, 304, 400, 403, 404, 405, 406, 409, 413, 415, 422];

/// Lambda's limit for a response.
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;

static API: LazyLock<Api> = LazyLock::new(|| Api::of(&STAGES));

/// The id of the other customer's order.
static VICTIMS_ORDER: LazyLock<String> = LazyLock::new(|| {
    let request = json!({
        "rawPath": "/orders",
        "headers": { "idempotency-key": "key-1" },
        "body": json!({ "customerId": "victim", "note": SECRET }).to_string(),
        "requestContext": { "http": { "method": "POST" } },
    });
    let response = RUNTIME.block_on(API.respond(request, "victim")).unwrap_or_default();
    let body = response["body"].as_str().unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["orderId"].as_str().unwrap_or_default().to_owned()
});

pub(crate) fn run(input: &[u8]) {
    let Some(request) = event(input) else { return };
    assert!(VICTIMS_ORDER.starts_with("ord-"), "the order of the victim is accepted");
    let Some(response) = RUNTIME.block_on(API.respond(request.clone(), "mallory")) else { return };
    is_safe(&response);
    let again = RUNTIME.block_on(API.respond(request, "mallory")).unwrap_or_default();
    assert_eq!(again["statusCode"], response["statusCode"], "the same request again");
    let rows = RUNTIME.block_on(STAGES.rows(&VICTIMS_ORDER));
    assert_eq!(rows.len(), 1, "another customer has changed the order");
}

fn is_safe(response: &Value) {
    let text = response.to_string();
    assert!(!text.contains(SECRET), "{text}");
    assert!(text.len() < MAX_RESPONSE_BYTES, "{} bytes", text.len());
    let status = response["statusCode"].as_i64().unwrap_or_default();
    assert!(STATUSES.contains(&status), "{text}");
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        assert!(is_one_line(name) && is_one_line(value.as_str().unwrap_or_default()), "{text}");
    }
    let body = response["body"].as_str().unwrap_or_default();
    assert!(body.is_empty() || serde_json::from_str::<Value>(body).is_ok(), "{text}");
}

fn event(input: &[u8]) -> Option<Value> {
    if input.first() == Some(&b'{') { serde_json::from_slice(input).ok() } else { http(input) }
}

/// API Gateway's event for a request as HTTP/1.1 writes it, its lines ended by a line feed alone, so
/// that any other control character is part of a header.
fn http(input: &[u8]) -> Option<Value> {
    let blank = input.windows(2).position(|window| window == b"\n\n");
    let (head, body) = input.split_at(blank.unwrap_or(input.len()));
    let body = body.get(2..).unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Map<_, _> = headers.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let text = std::str::from_utf8(body).ok();
    Some(json!({
        "rawPath": path, "rawQueryString": query, "headers": headers,
        "body": text.map_or_else(|| BASE64_STANDARD.encode(body), str::to_owned),
        "isBase64Encoded": text.is_none(),
        "requestContext": { "http": { "method": method } },
    }))
}
