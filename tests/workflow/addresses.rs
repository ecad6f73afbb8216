//! The URL of an order, and the methods that it supports.

use contracts::{EventType, OrderId, StoredEvent};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::Value;

use crate::{order, reading::get, world};

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_found_at_its_location() {
    let world = world().await;
    let key = [("idempotency-key", "a key")];
    for headers in [&[][..], &key] {
        let accepted = world.request("POST", "/orders", headers, order().to_string()).await;
        let location = accepted.headers()["location"].to_str().unwrap().to_owned();
        let accepted: Value = accepted.json().await.unwrap();
        assert_eq!(get(&world, &location).await["orderId"], accepted["orderId"]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_another_producer_is_found_whatever_its_id() {
    let mut world = world().await;
    let mut runner = TestRunner::deterministic();
    let random = "[ -~é漢😀]{1,60}".prop_filter("an id", |it| OrderId::parse(it).is_some());
    let random = (0..20).map(|_| random.new_tree(&mut runner).unwrap().current());
    let chosen =
        ["a/b", "/", "a//b/", "a b", "a+b", "100%", "a%2Fb", "a?b", "#", "ü漢😀", "%", "a;b,c"];
    for order_id in chosen.into_iter().map(str::to_owned).chain(random) {
        let id = OrderId::parse(&order_id).unwrap();
        let at = "2026-02-06T12:00:00Z".parse().unwrap();
        let event = StoredEvent::new(EventType::OrderCreated, &id, "corr-1", at, "{}");
        world.write_event(&event, 0).await;
        world.until_event(&order_id, EventType::OrderValidationFailed, 1).await;
        // A question mark would end the path, which API Gateway decodes once.
        let path =
            if order_id.contains('?') { encoded(&encoded(&order_id)) } else { encoded(&order_id) };
        let status = get(&world, &format!("/orders/{path}")).await;
        assert_eq!(status["orderId"], order_id.as_str(), "{path}");
        let cancel = format!("/orders/{path}/cancel");
        let response = world.request("POST", &cancel, &[], String::new()).await;
        assert_eq!(response.status().as_u16(), 409, "an ended order: {cancel}");
    }
    world.stop().await;
}

/// Percent-encodes a text as one path segment.
fn encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_is_answered_without_a_body() {
    let world = world().await;
    let order_id = world.accepted(&order()).await;
    world.ended(&order_id).await;
    for path in [
        format!("/orders/{order_id}"),
        "/orders?customerId=cust-1".to_owned(),
        "/orders/ord-unknown".to_owned(),
        "/orders".to_owned(),
    ] {
        let get = world.request("GET", &path, &[], String::new()).await;
        let head = world.request("HEAD", &path, &[], String::new()).await;
        assert_eq!(head.status(), get.status(), "{path}");
        for name in ["etag", "content-type", "content-length", "cache-control"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path}: {name}");
        }
        assert_eq!(head.text().await.unwrap(), "");
    }
    for (path, allow) in
        [("/orders", "GET, HEAD, OPTIONS, POST"), ("/orders/ord-1", "GET, HEAD, OPTIONS")]
    {
        for (method, status) in [("OPTIONS", 204), ("DELETE", 405)] {
            let response = world.request(method, path, &[], String::new()).await;
            assert_eq!(response.status().as_u16(), status, "{method} {path}");
            assert_eq!(response.headers()["allow"], allow, "{method} {path}");
        }
    }
    world.stop().await;
}
