//! Requests that wait for an order's end, and their effect on other requests.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::Value;

use crate::{order, world, world_with};

/// The longest wait that can be configured.
const LONGEST: [(&str, &str); 1] = [("MAX_WAIT_SECONDS", "20")];

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_answered_as_soon_as_the_order_has_ended() {
    let world = world_with(&LONGEST).await;
    // The order is pending when the waits begin.
    let validator = &world.stack.mappings["ValidatorMapping"];
    validator.pause();
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let wait = async || {
        let prefer = [("prefer", "wait=20")];
        (world.request("GET", &path, &prefer, String::new()).await, Instant::now())
    };
    let end = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        validator.resume();
        world.ended(&order_id).await;
        Instant::now()
    };
    // More waits than the function has processes for records; the records are handled all the same.
    let (first, second, third, ended) = tokio::join!(wait(), wait(), wait(), end);
    for (response, answered) in [first, second, third] {
        // A request that came late waits for less than it prefers.
        assert_ne!(response.headers()["preference-applied"], "wait=0");
        let status: Value = response.json().await.unwrap();
        assert_eq!(status["status"], "COMPLETED");
        let after = answered.saturating_duration_since(ended);
        assert!(after < Duration::from_secs(4), "{after:?} after the end");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_hold_up_no_other_request_even_when_they_are_abandoned() {
    let world = world_with(&LONGEST).await;
    let validator = &world.stack.mappings["ValidatorMapping"];
    validator.pause();
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let prefer = [("prefer", "wait=20")];
    let wait = || world.request("GET", &path, &prefer, String::new());
    let mut waits: FuturesUnordered<_> = (0..60).map(|_| wait()).collect();
    // Requests beyond the limit get an immediate response.
    for _ in 0..40 {
        let response = waits.next().await.expect("a response");
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["preference-applied"], "wait=0");
    }
    drop(waits);

    // The waits go on without their clients.
    let began = Instant::now();
    world.accepted(&order()).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "the order was accepted after {took:?}");
    validator.resume();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_ends_without_a_result_tells_the_current_status() {
    let world = world().await;
    world.stack.mappings["ValidatorMapping"].pause();
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let began = Instant::now();
    let response = world.request("GET", &path, &[("prefer", "wait=1")], String::new()).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["preference-applied"], "wait=1");
    let status: Value = response.json().await.unwrap();
    assert_eq!(status["status"], "PENDING");

    // A malformed preference is ignored.
    let response = world.request("GET", &path, &[("prefer", "wait=soon")], String::new()).await;
    assert_eq!(response.headers().get("preference-applied"), None);
    world.stop().await;
}
