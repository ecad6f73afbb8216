//! Requests that wait for an order's end, and those that must not wait for them.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use crate::{order, world};

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
