//! Responses of `POST /orders` and to invalid requests, and the errors of missing settings.

use std::process::Stdio;

use emulator::broker;
use serde_json::{Value, json};
use workflow_tests::functions::FUNCTIONS;

use crate::{order, world};

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_order() {
    let world = world().await;
    let key = uuid::Uuid::new_v4().to_string();
    let sent = order();
    let (first, again) = tokio::join!(world.post(&sent, Some(&key)), world.post(&sent, Some(&key)));
    assert_eq!(first, again);
    assert_eq!(first.0, 202);
    let order_id = first.1["orderId"].as_str().unwrap();
    world.ended(order_id).await;
    assert_eq!(world.post(&order(), Some(&key)).await, first);

    let mut other = order();
    other["totalAmount"] = 1.into();
    let (status, problem) = world.post(&other, Some(&key)).await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("use a new key"), "{problem}");
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_to_do() {
    let world = world().await;
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    let large = json!({ "note": "x".repeat(256 * 1024) }).to_string();
    let requests = [
        ("POST", "/orders", "no JSON", 400, "must be a JSON object"),
        ("POST", "/orders", "[]", 400, "must be a JSON object"),
        ("POST", "/orders", "", 400, "the body is empty: it must be a JSON object"),
        ("POST", "/orders", " \n", 400, "the body is empty: it must be a JSON object"),
        ("POST", "/orders", &format!("{{\"deep\":{deep}}}"), 400, "at most 100 levels"),
        ("POST", "/orders", &large, 413, "at most 262144 bytes"),
        ("GET", "/orders/ord-unknown", "", 404, "no order has this id"),
        ("GET", "/orders", "", 400, "customerId is missing"),
        ("GET", "/orders?customerId=", "", 400, "customerId must have"),
        ("GET", "/orders?customerId=cust-1&limit=0", "", 400, "limit must be"),
        ("GET", "/orders?customerId=cust-1&pageToken=x", "", 400, "pageToken must be"),
        ("DELETE", "/orders", "", 405, "allows GET, HEAD, OPTIONS, POST only"),
        ("PUT", "/orders/ord-unknown", "", 405, "allows GET, HEAD, OPTIONS only"),
        ("GET", "/orders/ord-unknown/cancel", "", 405, "allows OPTIONS, POST only"),
        ("GET", "/", "", 404, "no such path"),
    ];
    for (method, path, body, status, advice) in requests {
        let response = world.request(method, path, &[], body.to_owned()).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(advice), "{method} {path}: {detail}");
    }
    let (long, longer) = ("x".repeat(129), "x".repeat(256));
    for (name, value) in [
        ("idempotency-key", longer.as_str()),
        ("x-correlation-id", &long),
        ("x-correlation-id", "ü"),
    ] {
        let response =
            world.request("POST", "/orders", &[(name, value)], order().to_string()).await;
        assert_eq!(response.status().as_u16(), 400, "{name}: {value}");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().starts_with(name), "{problem}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_refused_with_what_is_taken_instead() {
    let world = world().await;
    for coding in ["gzip", "br", "identity, zstd"] {
        let headers = [("content-encoding", coding), ("content-type", "application/json")];
        let response = world.request("POST", "/orders", &headers, order().to_string()).await;
        assert_eq!(response.status().as_u16(), 415, "{coding}");
        assert_eq!(response.headers()["accept-encoding"], "identity");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("Content-Encoding"), "{problem}");
    }
    let headers = [("content-encoding", "identity")];
    let response = world.request("POST", "/orders", &headers, order().to_string()).await;
    assert_eq!(response.status().as_u16(), 202);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_settings_are_all_named_before_anything_starts() {
    let names = FUNCTIONS.map(|spec| spec.name);
    let root = workflow_tests::world::root();
    let functions = emulator::binaries::build(&root, &names.map(str::to_owned)).await.unwrap();
    for (name, executable) in functions {
        let mut command = tokio::process::Command::new(executable);
        command
            .env_clear()
            .env("ROW_TTL_DAYS", "soon")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let program = broker::spawn(|| command.spawn()).unwrap();
        let output = program.wait_with_output().await.unwrap();
        assert!(!output.status.success(), "{name}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        for variable in ["KAFKA_BOOTSTRAP_SERVERS", "ORDERS_TABLE", "ROW_TTL_DAYS"] {
            assert!(stderr.contains(&format!("for example {variable}=")), "{name}: {stderr}");
        }
        assert!(stderr.contains("KAFKA_SIGN_IN is not set"), "{name}: {stderr}");
        assert!(stderr.contains("`cargo run -p local` runs all of them"), "{name}: {stderr}");
    }
}
