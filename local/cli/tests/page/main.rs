//! Tests of the page of `cargo run -- up`: feed, actions, and isolation from other hosts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first error"
)]

mod harness;
mod raw_batch;
#[path = "../workspace/mod.rs"]
mod workspace;

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
    assert_eq!(late["failures"]["newest"][0]["reason"], "PAYMENT_DECLINED: no");
    assert_eq!(late["failures"]["failedOrders"], 1);
    assert_eq!(late["failures"]["malformedRecords"], 0);
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
    // The records are counted before the offset moves.
    let is_done = |stage: &Value| stage["handled"] == 2 && stage["waiting"] == 0;
    let stage = feed.until_stage("ValidatorMapping", is_done).await;
    assert_eq!(stage["isPaused"], false);
    assert_eq!(up.delivered().len(), 2);

    let unknown = up.post("/_page/mappings/NoSuchMapping/pause").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_order_is_redelivered_unchanged() {
    let up = Harness::start().await;
    let mut feed = up.feed().await;
    let event = up.create("ord-1").await;
    // The page and the mapping read the topic independently.
    up.until_state(|state| state["orders"][0]["orderId"] == "ord-1").await;
    feed.until_stage("ValidatorMapping", |stage| stage["handled"] == 1).await;
    let again = up.post("/_page/orders/ord-1/deliver-again").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NO_CONTENT);
    feed.until_stage("ValidatorMapping", |stage| stage["handled"] == 2).await;
    assert_eq!(up.delivered(), [event.clone(), event]);
    up.until_state(|state| state["orders"][0]["steps"][0]["times"] == 2).await;

    let unknown = up.post("/_page/orders/ord-9/deliver-again").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn large_events_are_cut_and_their_oldest_records_are_dropped() {
    const EVENTS: usize = 40;
    let up = Harness::start().await;
    let large = "1".repeat(900_000);
    for number in 0..EVENTS {
        // Large by its value or by its key.
        let id = format!("ord-{number}");
        let (key, amount) =
            if number % 2 == 0 { (id.as_str(), large.as_str()) } else { (large.as_str(), "1") };
        let event = format!(
            r#"{{"eventType":"OrderCreated","orderId":"{id}","correlationId":"corr-1",
                "timestamp":"2026-02-06T12:00:00Z","payload":{{"totalAmount":{amount}}}}}"#
        );
        let partition = i32::try_from(number % 10).unwrap();
        up.write_to(partition, "order.created", key, &event).await;
    }
    let failed = json!({
        "eventType": "OrderValidationFailed", "orderId": "ord-0", "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:01Z", "payload": { "failureReason": large },
    });
    up.write("order.failed", "ord-0", &failed.to_string()).await;
    let state = up
        .until_state(|state| {
            let orders = state["orders"].as_array().map_or(0, Vec::len);
            orders == EVENTS && !state["failures"].is_null()
        })
        .await;
    assert!(state.to_string().len() < 100_000, "{} bytes", state.to_string().len());
    let orders = state["orders"].as_array().unwrap();
    let large = orders.iter().find(|order| order["orderId"] == "ord-0").unwrap();
    assert_eq!(large["amount"], format!("{}… (899976 bytes more)", "1".repeat(24)));
    let reason = state["failures"]["newest"][0]["reason"].as_str().unwrap();
    assert!(reason.ends_with("1… (899700 bytes more)"), "{reason}");
    // 4 MiB of records.
    let kept = orders.iter().map(|order| order["isRecordKept"] == true);
    assert!(kept.eq((0..EVENTS).map(|place| place >= EVENTS - 4)), "{orders:?}");
    for (order, status) in
        [(&orders[0], StatusCode::NOT_FOUND), (&orders[EVENTS - 1], StatusCode::NO_CONTENT)]
    {
        let path = format!("/_page/orders/{}/deliver-again", order["orderId"].as_str().unwrap());
        assert_eq!(up.post(&path).send().await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_stage_shows_the_last_lines_of_its_functions_log() {
    let up = Harness::hosting(include_str!("function.py")).await;
    let is_last = |line: &Value| line.as_str().unwrap().starts_with("<b>");
    let shown = up
        .until_log("ValidatorMapping", |log| {
            log["lines"].as_array().unwrap().last().is_some_and(is_last)
        })
        .await;
    let lines: Vec<_> =
        shown["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lines.len(), 200);
    assert_eq!(lines[0], r#"{"level":"INFO","message":"line 102"}"#);
    assert!(lines[198].ends_with("x… (95905 bytes more)"), "{}", lines[198].len());
    assert_eq!(lines[199], "<b>\u{fffd}[2J");
    assert_eq!(shown["omittedBytes"], 102 * 38);
    assert!(shown["file"].as_str().unwrap().ends_with("validator.log"));
    let unknown = up.get("/_page/mappings/NoSuchMapping/log").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);

    let elsewhere = Harness::start().await;
    let log = elsewhere.get("/_page/mappings/ValidatorMapping/log").send().await.unwrap();
    assert_eq!(log.status(), StatusCode::NOT_FOUND);
    let problem: Value = log.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("hosted elsewhere"), "{problem}");
}

#[tokio::test]
async fn the_standard_error_of_a_function_moves_no_cursor() {
    let script = include_str!("function.py").replace(
        "import os",
        "import os\nimport sys\nprint('alarm\\x1b[2J\\x9b1;1H\\u202eend', file=sys.stderr, flush=True)",
    );
    let up = Harness::hosting(&script).await;
    let printed = up.until_printed(|line| line.contains("alarm")).await;
    let line = printed.iter().find(|line| line.contains("alarm")).unwrap();
    assert!(line.contains("alarm\u{fffd}[2J\u{fffd}1;1H\u{fffd}end"), "{line:?}");
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
