//! Tests of the page of `cargo run -- up`: feed, actions, and isolation from other hosts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first error"
)]

mod harness;
mod raw_batch;

use harness::Harness;
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_browser_gets_the_full_state_and_then_changes() {
    let up = Harness::start().await;
    let mut feed = up.feed().await;
    let first = feed.next().await;
    let topics = first["pipeline"]["topics"].as_array().unwrap();
    let names: Vec<_> = topics.iter().map(|topic| topic["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "order.created");
    assert_eq!(names.len(), 7);
    let readers = |topic: usize| topics[topic]["stages"].as_array().unwrap().len();
    assert_eq!((readers(0), readers(5), readers(6)), (1, 2, 0));
    assert!(first["start"]["samples"]["good"][0].as_str().unwrap().contains("customerId"));

    up.create("ord-1").await;
    let order = feed.until_order(|order| order["orderId"] == "ord-1").await;
    assert_eq!(order["status"], "PENDING");
    assert_eq!(order["items"], "2 × ITEM-A");
    assert_eq!(order["amount"], "99.98");
    let failed = r#"{"eventType":"OrderPaymentFailed","orderId":"ord-1","correlationId":"corr-1",
        "timestamp":"2026-02-06T12:00:01Z","payload":{"failureReason":"PAYMENT_DECLINED: no"}}"#;
    up.write("order.failed", "ord-1", failed).await;
    let order = feed.until_order(|order| order["status"] == "FAILED").await;
    assert_eq!(order["reason"], "PAYMENT_DECLINED: no");
    assert_eq!(order["steps"][1]["stage"], "payment");

    // A browser that connects later gets the same state.
    let late = up.feed().await.next().await;
    assert_eq!(late["orders"][0]["orderId"], "ord-1");
    assert_eq!(late["failures"][0]["reason"], "PAYMENT_DECLINED: no");
}

#[tokio::test]
async fn the_records_of_a_paused_stage_wait_and_are_then_handled() {
    let up = Harness::start().await;
    let mut feed = up.feed().await;
    let paused = up.post("/_page/mappings/ValidatorMapping/pause").send().await.unwrap();
    assert_eq!(paused.status(), StatusCode::NO_CONTENT);
    up.create("ord-1").await;
    up.create("ord-2").await;
    let stage = feed.until_stage("ValidatorMapping", |stage| stage["waiting"] == 2).await;
    assert_eq!((&stage["isPaused"], &stage["handled"]), (&true.into(), &0.into()));
    assert!(up.delivered().is_empty());

    up.post("/_page/mappings/ValidatorMapping/resume").send().await.unwrap();
    let stage = feed.until_stage("ValidatorMapping", |stage| stage["handled"] == 2).await;
    assert_eq!((&stage["isPaused"], &stage["waiting"]), (&false.into(), &0.into()));
    assert_eq!(up.delivered().len(), 2);

    let unknown = up.post("/_page/mappings/NoSuchMapping/pause").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_order_is_redelivered_unchanged() {
    let up = Harness::start().await;
    let mut feed = up.feed().await;
    let event = up.create("ord-1").await;
    feed.until_stage("ValidatorMapping", |stage| stage["handled"] == 1).await;
    let again = up.post("/_page/orders/ord-1/deliver-again").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NO_CONTENT);
    feed.until_stage("ValidatorMapping", |stage| stage["handled"] == 2).await;
    assert_eq!(up.delivered(), [event.clone(), event]);
    let order = up.feed().await.next().await["orders"][0].clone();
    assert_eq!(order["steps"][0]["times"], 2);

    let unknown = up.post("/_page/orders/ord-9/deliver-again").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_unreadable_partition_is_reported_and_blocks_no_other() {
    let up = Harness::start().await;
    let mut feed = up.feed().await;
    // Kafka has no codec 5.
    up.write_batch(&raw_batch::batch(5, b"whatever"), "order.created", 2).await;
    let is_reported =
        |stage: &Value| stage["unreadable"].as_array().is_some_and(|it| !it.is_empty());
    let stage = feed.until_stage("ValidatorMapping", is_reported).await;
    assert_eq!(stage["unreadable"][0]["partition"], 2);
    assert!(!stage["unreadable"][0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(stage["unreadable"].as_array().unwrap().len(), 1);
    up.write_to(1, "order.created", "ord-1", "{}").await;
    feed.until_stage("ValidatorMapping", |stage| stage["handled"] == 1 && is_reported(stage)).await;
    let printed = up.until_printed(|line| line.contains("cannot be read")).await;
    let lines: Vec<_> = printed.iter().filter(|line| line.contains("cannot be read")).collect();
    assert!(lines[0].contains("order.created") && lines[0].contains("partition=2"), "{lines:?}");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let again = up.printed().into_iter().filter(|line| line.contains("cannot be read")).count();
    assert_eq!(again, 1, "reported once, although the client retries");
}

#[tokio::test]
async fn foreign_text_moves_no_cursor_and_forges_no_line() {
    let up = Harness::start().await;
    // Control characters, line separators and bidirectional marks.
    let foreign = "A\u{1b}[2J\u{9b}1;1H\r\nord-1  COMPLETED\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\u{7f}\u{0}";
    let failed = json!({
        "eventType": "OrderInventoryFailed", "orderId": "ord-9", "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:01Z",
        "payload": { "failureReason": format!("UNKNOWN_SKU: {foreign}, and more") },
    });
    up.write("order.failed", "ord-9", &failed.to_string()).await;
    let printed = up.until_printed(|line| line.starts_with("ord-9")).await;
    let line = printed.iter().find(|line| line.starts_with("ord-9")).unwrap();
    assert!(line.contains("COMPLETED") && line.ends_with(", and more"), "one line: {printed:?}");
    let replaced = line.chars().filter(|letter| *letter == '\u{fffd}').count();
    assert_eq!(replaced, 12, "{line:?}");
    for forbidden in foreign.chars().filter(|letter| !letter.is_ascii_graphic() && *letter != ' ') {
        assert!(!line.contains(forbidden), "{forbidden:?} in {line:?}");
    }
}

#[tokio::test]
async fn a_cross_origin_page_can_neither_pause_nor_order() {
    let up = Harness::start().await;
    let here = up.url.trim_start_matches("http://");
    for path in ["/_page/mappings/ValidatorMapping/pause", "/orders"] {
        let foreign = up.foreign_post(path, here, "https://shop.example").body("{}");
        let refused = foreign.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        let rebound = up.foreign_post(path, "shop.example", "http://shop.example").body("{}");
        assert_eq!(rebound.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    }
    assert_eq!(up.requests(), 0);
    let first = up.feed().await.next().await;
    assert_eq!(first["pipeline"]["topics"][0]["stages"][0]["isPaused"], false);

    let ours = up.post("/orders").body("{}").send().await.unwrap();
    assert_eq!(ours.status(), StatusCode::ACCEPTED);
    assert_eq!(up.requests(), 1);
}

#[tokio::test]
async fn the_page_loads_nothing_from_other_hosts() {
    let up = Harness::start().await;
    let page = up.get("/").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    let html = page.text().await.unwrap();
    let sources = html.split(['"', '\'']).filter(|text| text.starts_with("/_page/"));
    let mut loaded = 0;
    for source in sources {
        let file = up.get(source).send().await.unwrap();
        assert_eq!(file.status(), StatusCode::OK, "{source}");
        loaded += 1;
    }
    assert_eq!(loaded, 3);
}
