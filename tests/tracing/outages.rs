//! Collectors that hang, reject or are away: no order is lost, and few exports are tried.

use std::time::{Duration, Instant};

use serde_json::Value;
use workflow_tests::world::World;

use crate::{ENDPOINT, collector::Behaviour, order, post, traced_world, world};

/// The time without exports after a failed one.
const PAUSE: Duration = Duration::from_secs(30);

/// The lines about failed exports in the log of the HTTP API's function: at least one, and at most
/// one for each of its processes and each pause since it started.
fn warnings(world: &World, started: Instant) -> Vec<Value> {
    let functions = world.stack.functions.as_ref().unwrap();
    let processes = functions.process_ids("order-api").len();
    let log = std::fs::read_to_string(functions.log_dir().join("order-api.log")).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let warnings = lines.filter(|line| line["message"] == "cannot export spans");
    let warnings: Vec<Value> = warnings.collect();
    let periods = 1 + usize::try_from(started.elapsed().as_secs() / PAUSE.as_secs()).unwrap();
    let expected = 1..=processes * periods;
    assert!(expected.contains(&warnings.len()), "{expected:?} expected: {warnings:?}");
    warnings
}

/// Posts orders one after another, which must complete.
async fn complete(world: &World, count: usize) {
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(post(world, &[], &order()).await);
    }
    for order_id in orders {
        assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_delays_one_response_by_half_a_second() {
    let started = Instant::now();
    let (world, collector) = traced_world(Behaviour::Hangs).await;
    // A process waits for the collector once, and not again for 30 seconds.
    complete(&world, 20).await;
    let warnings = warnings(&world, started);
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
        let started = Instant::now();
        let world = world(&[(ENDPOINT, url)]).await;
        complete(&world, 20).await;
        warnings(&world, started);
        world.stop().await;
    }
    assert!(rejecting.requests() > 0);
}
