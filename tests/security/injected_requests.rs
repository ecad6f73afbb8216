//! Hostile text in every part of a request.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use workflow_tests::{
    api::{Api, Response},
    captured::Captured,
};

use crate::{
    MALLORY,
    injection::{MARK, assert_plain_headers, assert_plain_log, hostile_texts, is_one_line},
    order, stages,
};

/// Every header that the API reads, and some that it must not.
const HEADERS: [&str; 16] = [
    "idempotency-key",
    "x-correlation-id",
    "traceparent",
    "tracestate",
    "if-none-match",
    "prefer",
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "content-encoding",
    "content-type",
    "accept",
    "authorization",
    "host",
    "user-agent",
    "x-forwarded-for",
];

/// A request with this text in each of its parts in turn, with the name of the part.
fn requests(text: &str) -> Vec<(String, Value)> {
    let mut requests = Vec::new();
    for (method, path) in [("POST", "/orders"), ("GET", "/orders/ord-1"), ("OPTIONS", "/orders")] {
        for header in HEADERS {
            let event = event(method, path, "", &json!({ header: text }), &order(MALLORY));
            requests.push((format!("{method} {header}"), event));
        }
        let named = event(method, path, "", &json!({ text: "value" }), &order(MALLORY));
        requests.push((format!("{method} name of a header"), named));
    }
    for (method, path) in [
        ("GET", format!("/orders/{text}")),
        ("POST", format!("/orders/{text}/cancel")),
        ("GET", format!("/{text}")),
        (text, "/orders".to_owned()),
    ] {
        requests
            .push((format!("path of {path:?}"), event(method, &path, "", &json!({}), &json!({}))));
    }
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for name in ["customerId", "limit", "pageToken", encoded.as_str()] {
        for value in [encoded.as_str(), text] {
            let query = format!("{name}={value}");
            requests.push((query.clone(), event("GET", "/orders", &query, &json!({}), &json!({}))));
        }
    }
    for body in [
        json!({ "customerId": MALLORY, text: 1 }),
        json!({ "customerId": MALLORY, "items": [{ "sku": text, "quantity": 1 }], "totalAmount": 1 }),
        json!({ "customerId": MALLORY, "items": text, "totalAmount": text, "note": text }),
        json!({ "customerId": MALLORY, "failureReason": text, "malformed": text, "source": text }),
        json!({ "customerId": text }),
        json!(text),
    ] {
        requests.push((format!("body {body}"), event("POST", "/orders", "", &json!({}), &body)));
    }
    requests
}

fn event(method: &str, path: &str, query: &str, headers: &Value, body: &Value) -> Value {
    json!({
        "rawPath": path, "rawQueryString": query, "headers": headers, "body": body.to_string(),
        "requestContext": { "http": { "method": method } },
    })
}

#[tokio::test]
async fn no_text_of_a_request_adds_a_header_or_a_line_anywhere() {
    let stages = stages().await;
    let (api, mut tap) = (Api::of(&stages), stages.tap().await);
    let (log, logging) = Captured::start("trace");
    let (mut sent, mut accepted) = (0, Vec::new());
    for text in hostile_texts() {
        for (part, event) in requests(&text) {
            let response = api.respond(event, MALLORY).await.expect("a request");
            let body = response["body"].as_str().unwrap_or_default();
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            let status = response["statusCode"].as_u64().unwrap();
            let response = Response { status, headers: response["headers"].clone(), body };
            assert!(response.status < 500, "{part} of {text:?}: {response:?}");
            assert_plain_headers(&response);
            sent += 1;
            if let Some(order_id) = response.body["orderId"].as_str().filter(|_| status == 202) {
                accepted.push(order_id.to_owned());
            }
        }
    }
    accepted.sort_unstable();
    accepted.dedup();
    for order_id in &accepted {
        stages.carry(order_id).await;
    }
    drop(logging);
    assert_plain_log(&log);
    println!("{sent} requests, {} orders", accepted.len());
    assert!(accepted.len() > 30, "{}", accepted.len());

    let mut events = 0;
    while events < accepted.len() * 3 {
        let record = timeout(Duration::from_secs(30), tap.next()).await.unwrap().unwrap();
        events += 1;
        assert!(is_one_line(std::str::from_utf8(record.key.as_ref().unwrap()).unwrap()));
        for (name, value) in &record.headers {
            let value = String::from_utf8(value.clone().unwrap()).unwrap();
            assert!(!name.contains(MARK) && is_one_line(&value), "{name}: {value:?}");
        }
    }
}
