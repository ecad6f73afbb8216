//! Reading orders over the HTTP API: lists, conditional requests, correlation ids,
//! CORS.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::StageName;
use engine::{Digest, Row, RowBody, RowKey};
use serde_json::{Value, json};
use workflow_tests::world::{World, WorldOptions};

use crate::{journey, order, world, world_as};

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

    // A list entry agrees with the order's own status.
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
        let response = world.request("GET", &path, &[], String::new()).await;
        assert_eq!(response.status().as_u16(), 400, "{path}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_has_outlived_its_orders_gives_an_empty_page() {
    let world = world().await;
    world.accepted(&order()).await;
    // In the form in which the API writes them.
    let token = |accepted_at: &str| {
        let digest = Digest::of(format!("{accepted_at}\nord-1\ncust-1").as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(format!("{digest}\n{accepted_at}\nord-1"))
    };
    for (accepted_at, orders) in [("1970-01-01T00:00:00.000Z", 0), ("9999-01-01T00:00:00.000Z", 1)]
    {
        let path = format!("/orders?customerId=cust-1&pageToken={}", token(accepted_at));
        let page = get(&world, &path).await;
        assert_eq!(page["orders"].as_array().map(Vec::len), Some(orders), "{accepted_at}: {page}");
        assert_eq!(page["nextPageToken"], Value::Null);
    }
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
        let response = world_ref.request("GET", path, &headers, String::new()).await;
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        (response.status().as_u16(), tag, response.text().await.unwrap())
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
    let response = world.request("POST", "/orders", &headers, order().to_string()).await;
    assert_eq!(response.headers()["x-correlation-id"], "checkout 4711");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["correlationId"], "checkout 4711");
    let order_id = body["orderId"].as_str().unwrap();
    for (event_type, event) in journey(&mut world, order_id, 1).await {
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["correlationId"], "checkout 4711", "{event_type}");
    }
    assert_eq!(world.ended(order_id).await["correlationId"], "checkout 4711");

    let response = world.request("POST", "/orders", &[], order().to_string()).await;
    let made = response.headers()["x-correlation-id"].to_str().unwrap().to_owned();
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

/// Stores the closing of a failed order.
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
    // The local run lets both pass, the function answers one.
    let options = WorldOptions {
        function_env: &[("CORS_ALLOWED_ORIGINS", "https://shop.example")],
        allowed_origins: &["https://shop.example", "https://other.example"],
        ..WorldOptions::default()
    };
    let world = world_as(&options).await;
    let preflight = |origin: &'static str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        let world = &world;
        async move { world.request("OPTIONS", "/orders", &headers, String::new()).await }
    };
    let response = preflight("https://shop.example").await;
    assert_eq!(response.status().as_u16(), 204);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    assert!(
        response.headers()["access-control-allow-headers"].to_str().unwrap().contains("prefer")
    );
    let response = preflight("https://other.example").await;
    assert_eq!(response.headers().get("access-control-allow-origin"), None);

    let headers = [("origin", "https://shop.example")];
    let response = world.request("GET", "/orders/ord-unknown", &headers, String::new()).await;
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    world.stop().await;
}

pub(crate) async fn get(world: &World, path: &str) -> Value {
    let response = world.request("GET", path, &[], String::new()).await;
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.json().await.unwrap()
}
