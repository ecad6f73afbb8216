//! Requests that wait for an order's end, and their effect on other requests.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use crate::{order, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_answered_as_soon_as_the_order_has_ended() {
    let world = world().await;
    // The response to the validator's insert is withheld, so that the order is pending when the
    // waits begin.
    let held = world.database.hold_response(&["\"S\":\"validator\""]);
    let order_id = world.accepted(&order()).await;
    let began = Instant::now();
    let path = format!("/orders/{order_id}");
    let wait = || world.request("GET", &path, &[("prefer", "wait=5")], String::new());
    let let_go = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(held);
    };
    // More waits than the function has processes for records; the records are handled all the same.
    let (first, second, third, ()) = tokio::join!(wait(), wait(), wait(), let_go);
    let took = began.elapsed();
    for response in [first, second, third] {
        assert_eq!(response.headers()["preference-applied"], "wait=5");
        let status: Value = response.json().await.unwrap();
        assert_eq!(status["status"], "COMPLETED");
    }
    assert!(took < Duration::from_secs(4), "the waits took {took:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_hold_up_no_other_request_even_when_they_are_abandoned() {
    let world = world().await;
    let held = world.database.hold_response(&["\"S\":\"validator\""]);
    let order_id = world.accepted(&order()).await;
    let path = format!("/orders/{order_id}");
    let prefer = [("prefer", "wait=5")];
    let wait = || world.request("GET", &path, &prefer, String::new());
    let abandoned = (0..60).map(|_| timeout(Duration::from_secs(3), wait()));
    let responses = futures::future::join_all(abandoned).await;
    let received: Vec<_> = responses.into_iter().flatten().collect();
    // Requests beyond the limit get an immediate response.
    assert!(received.len() >= 40, "{} of 60 requests got a response", received.len());
    for response in received {
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["preference-applied"], "wait=0");
    }

    let began = Instant::now();
    world.accepted(&order()).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "the order was accepted after {took:?}");
    drop(held);
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_ends_without_a_result_tells_the_current_status() {
    let world = world().await;
    let held = world.database.hold_response(&["\"S\":\"validator\""]);
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
    drop(held);
    world.stop().await;
}
