//! What the HTTP API tells of orders: lists, waits, conditional requests, and whose request it was.

use std::time::{Duration, Instant};

use contracts::{EventType, OrderId, StageName, StoredEvent};
use engine::{Digest, Row, RowBody, RowKey};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use serde_json::{Value, json};
use tokio::time::timeout;
use workflow_tests::world::World;

use crate::{journey, order, world, world_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_orders_are_listed_newest_first_over_all_pages() {
    let world = world().await;
    let customer = format!("cust-{}", uuid::Uuid::new_v4());
    let mut sent = Vec::new();
    for number in 0..7 {
        let order = json!({ "customerId": customer, "number": number });
        sent.push(world.accepted(&order).await);
    }
    world.accepted(&json!({ "customerId": "cust-1" })).await;
    world.accepted(&json!({ "no": "customer" })).await;
    sent.reverse();

    let (mut listed, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = get(&world, &format!("/orders?customerId={customer}&limit=3{token}")).await;
        pages += 1;
        listed.extend(page["orders"].as_array().unwrap().clone());
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = format!("&pageToken={next}");
    }
    assert_eq!(pages, 3);
    let ids: Vec<_> = listed.iter().map(|order| order["orderId"].as_str().unwrap()).collect();
    assert_eq!(ids, sent);
    let times: Vec<_> = listed.iter().map(|order| order["acceptedAt"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");

    // What the list says of an order is what the order itself says.
    let ended = world.ended(&sent[0]).await;
    let page = get(&world, &format!("/orders?customerId={customer}&limit=1")).await;
    for field in ["orderId", "status", "failedStage", "failureReason", "closedAt"] {
        assert_eq!(page["orders"][0][field], ended[field], "{field}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_was_tampered_with_is_refused() {
    let world = world().await;
    for _ in 0..2 {
        world.accepted(&order()).await;
    }
    let page = get(&world, "/orders?customerId=cust-1&limit=1").await;
    let token = page["nextPageToken"].as_str().unwrap();
    let damaged = format!("{}x", &token[..token.len() - 1]);
    for path in [
        format!("/orders?customerId=cust-1&pageToken={damaged}"),
        format!("/orders?customerId=cust-2&pageToken={token}"),
    ] {
        let answer = world.request("GET", &path, &[], String::new()).await;
        assert_eq!(answer.status().as_u16(), 400, "{path}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_answered_as_soon_as_the_order_has_ended() {
    let world = world().await;
    // The validator's row is held back, so that the orders are pending when the waits begin.
    let held = world.database.hold_answer(&["\"S\":\"validator\""]);
    let order_id = world.accepted(&order()).await;
    let began = Instant::now();
    let path = format!("/orders/{order_id}");
    let wait = || world.request("GET", &path, &[("prefer", "wait=5")], String::new());
    let let_go = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(held);
    };
    // More of them than the function has processes for records, and the records still get through.
    let (first, second, third, ()) = tokio::join!(wait(), wait(), wait(), let_go);
    let took = began.elapsed();
    for answer in [first, second, third] {
        assert_eq!(answer.headers()["preference-applied"], "wait=5");
        let status: Value = answer.json().await.unwrap();
        assert_eq!(status["status"], "COMPLETED");
    }
    assert!(took < Duration::from_secs(4), "the waits took {took:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_hold_up_no_other_request_even_when_they_are_abandoned() {
    let world = world().await;
    let held = world.database.hold_answer(&["\"S\":\"validator\""]);
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let prefer = [("prefer", "wait=5")];
    let wait = || world.request("GET", &path, &prefer, String::new());
    let abandoned = (0..60).map(|_| timeout(Duration::from_secs(3), wait()));
    let answers = futures::future::join_all(abandoned).await;
    let answered: Vec<_> = answers.into_iter().flatten().collect();
    // Those beyond the limit were answered at once, without a wait.
    assert!(answered.len() >= 40, "{} of 60 waits were answered", answered.len());
    for answer in answered {
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["preference-applied"], "wait=0");
    }

    let began = Instant::now();
    world.accepted(&order()).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "an order was taken in after {took:?}");
    drop(held);
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_ends_without_a_result_tells_the_current_status() {
    let world = world().await;
    let held = world.database.hold_answer(&["\"S\":\"validator\""]);
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let began = Instant::now();
    let answer = world.request("GET", &path, &[("prefer", "wait=1")], String::new()).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["preference-applied"], "wait=1");
    let status: Value = answer.json().await.unwrap();
    assert_eq!(status["status"], "PENDING");

    // A preference that nobody can read is as good as none.
    let answer = world.request("GET", &path, &[("prefer", "wait=soon")], String::new()).await;
    assert_eq!(answer.headers().get("preference-applied"), None);
    drop(held);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let world = world().await;
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let pending = world.request("GET", &path, &[], String::new()).await;
    let old_tag = pending.headers()["etag"].to_str().unwrap().to_owned();
    world.ended(&order_id).await;

    let (world_ref, path) = (&world, path.as_str());
    let get = |tag: String| async move {
        let headers = [("if-none-match", tag.as_str())];
        let answer = world_ref.request("GET", path, &headers, String::new()).await;
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), tag, answer.text().await.unwrap())
    };
    let (status, tag, body) = get(old_tag).await;
    assert_eq!(status, 200);
    assert!(body.contains("COMPLETED"), "{body}");
    assert_eq!(get(tag.clone()).await, (304, tag, String::new()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlation_id_goes_from_the_request_to_the_last_event() {
    let mut world = world().await;
    let headers = [("x-correlation-id", "checkout 4711")];
    let answer = world.request("POST", "/orders", &headers, order().to_string()).await;
    assert_eq!(answer.headers()["x-correlation-id"], "checkout 4711");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["correlationId"], "checkout 4711");
    let order_id = body["orderId"].as_str().unwrap();
    for (event_type, event) in journey(&mut world, order_id, 1).await {
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["correlationId"], "checkout 4711", "{event_type}");
    }
    assert_eq!(world.ended(order_id).await["correlationId"], "checkout 4711");

    let answer = world.request("POST", "/orders", &[], order().to_string()).await;
    let made = answer.headers()["x-correlation-id"].to_str().unwrap().to_owned();
    assert!(made.starts_with("corr-"), "{made}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_time_line_of_a_large_order_is_told() {
    let world = world().await;
    let mut large = order();
    large["note"] = "x".repeat(240 * 1024).into();
    let order_id = world.accepted(&large).await;
    let status = world.ended(&order_id).await;
    assert_eq!(status["status"], "COMPLETED");
    assert_eq!(status["timeline"].as_array().unwrap().len(), 5);
    world.stop().await;
}

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
        // A question mark would end the path that API Gateway has decoded.
        let path =
            if order_id.contains('?') { encoded(&encoded(&order_id)) } else { encoded(&order_id) };
        let status = get(&world, &format!("/orders/{path}")).await;
        assert_eq!(status["orderId"], order_id.as_str(), "{path}");
    }
    world.stop().await;
}

/// A text as one segment of a path.
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
        for name in ["etag", "content-type", "cache-control"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path}: {name}");
        }
        assert_eq!(head.text().await.unwrap(), "");
    }
    for (path, allow) in
        [("/orders", "GET, HEAD, OPTIONS, POST"), ("/orders/ord-1", "GET, HEAD, OPTIONS")]
    {
        for (method, status) in [("OPTIONS", 204), ("DELETE", 405)] {
            let answer = world.request(method, path, &[], String::new()).await;
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert_eq!(answer.headers()["allow"], allow, "{method} {path}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_orders_with_huge_reasons_is_answered_page_by_page() {
    let world = world().await;
    let customer = format!("cust-{}", uuid::Uuid::new_v4());
    let reason = format!("VALIDATION_FAILED: {}", "\"x".repeat(120 * 1024));
    let mut sent = Vec::new();
    for number in 0..30 {
        let order = json!({ "customerId": customer, "number": number });
        let order_id = world.accepted(&order).await;
        close(&world, &order_id, &reason).await;
        sent.push(order_id);
    }
    sent.reverse();
    let (mut listed, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = get(&world, &format!("/orders?customerId={customer}&limit=100{token}")).await;
        pages += 1;
        for order in page["orders"].as_array().unwrap() {
            listed.push(order["orderId"].as_str().unwrap().to_owned());
            assert_eq!(order["failureReason"].as_str().map(str::len), Some(reason.len()));
        }
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = format!("&pageToken={next}");
    }
    assert!(pages > 1);
    assert_eq!(listed, sent);
    world.stop().await;
}

/// Stores that an order has failed for this reason.
async fn close(world: &World, order_id: &str, reason: &str) {
    let fields = json!({
        "status": "FAILED", "failedStage": "validator", "failureReason": reason,
        "closedAt": "2026-02-06T12:00:00.000Z", "tookMs": 1,
    });
    let row = Row {
        key: RowKey { id: order_id.to_owned(), stage: StageName::Close },
        body: RowBody::Data(fields.to_string()),
        digest: Digest::of(b""),
        expires_at: 4_000_000_000,
        customer_index: None,
    };
    let put = world.stack.database.client().put_item().set_item(Some(row.to_item()));
    put.table_name(world.stack.table("OrdersTable")).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_named_origins_may_call() {
    let world = world_with(&[("CORS_ALLOWED_ORIGINS", "https://shop.example")]).await;
    let asked = |origin: &'static str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        let world = &world;
        async move { world.request("OPTIONS", "/orders", &headers, String::new()).await }
    };
    let answer = asked("https://shop.example").await;
    assert_eq!(answer.status().as_u16(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example");
    assert!(answer.headers()["access-control-allow-headers"].to_str().unwrap().contains("prefer"));
    let answer = asked("https://other.example").await;
    assert_eq!(answer.headers().get("access-control-allow-origin"), None);

    let headers = [("origin", "https://shop.example")];
    let answer = world.request("GET", "/orders/ord-unknown", &headers, String::new()).await;
    assert_eq!(answer.status().as_u16(), 404);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example");
    world.stop().await;
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.request("GET", path, &[], String::new()).await;
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    answer.json().await.unwrap()
}
