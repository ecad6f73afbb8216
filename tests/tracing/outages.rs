//! Collectors that hang, reject or are away: no order is lost, and none is delayed for long.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use workflow_tests::world::World;

use crate::{ENDPOINT, collector::Behaviour, order, post, traced_world, world};

/// The lines about failed exports in the logs of all functions.
fn warnings(log_dir: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(log_dir).expect("the logs are there");
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let text: String = texts.collect();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "cannot export spans").collect()
}

/// Posts orders one after another, which must complete; returns the time until all are accepted.
async fn complete(world: &World, count: usize) -> Duration {
    let (mut orders, started) = (Vec::new(), Instant::now());
    for _ in 0..count {
        orders.push(post(world, &[], &order()).await);
    }
    let accepted = started.elapsed();
    for order_id in orders {
        assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_delays_one_response_by_half_a_second() {
    let (world, collector) = traced_world(Behaviour::Hangs).await;
    complete(&world, 1).await;
    // The process of the HTTP API waits for the collector once, and not again for 30 seconds.
    let accepted = complete(&world, 20).await;
    assert!(accepted < Duration::from_secs(5), "20 orders: {accepted:?}");
    let log_dir = world.stack.functions.as_ref().unwrap().log_dir().to_owned();
    let warnings = warnings(&log_dir);
    let error = &warnings[0]["error"];
    assert_eq!(error, "no response within 500 ms", "{warnings:?}");
    assert!(warnings[0]["dropped"].as_u64().unwrap() >= 1, "{warnings:?}");
    assert!(collector.requests() > 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_rejects_or_is_away_delays_nothing() {
    let rejecting = crate::Collector::start(Behaviour::Rejects(503)).await;
    // Nobody listens on the reserved port.
    for url in [rejecting.url.as_str(), "http://127.0.0.1:9"] {
        let world = world(&[(ENDPOINT, url)]).await;
        let accepted = complete(&world, 10).await;
        assert!(accepted < Duration::from_secs(5), "10 orders: {accepted:?}");
        let warnings = warnings(world.stack.functions.as_ref().unwrap().log_dir());
        assert!(!warnings.is_empty(), "{url}");
        world.stop().await;
    }
    assert!(rejecting.requests() > 0);
}
