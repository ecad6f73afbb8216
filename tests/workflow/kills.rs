//! SIGKILL between write and publish: the row is stored, the event is not published.
//!
//! The database proxy withholds the response to the insert until the process is killed.

use contracts::happy_path;
use workflow_tests::functions::function_of;

use crate::{distinct, happy_events, journey, order, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_write_and_publish_loses_and_doubles_nothing() {
    let mut world = world().await;
    let mut order = order();
    order["totalAmount"] = 10.into();
    // The test below kills the intake.
    let stages: Vec<_> = happy_path().skip(1).map(|spec| spec.name).collect();
    for stage in &stages {
        let mut held = world.database.hold_response(&[&format!("\"S\":\"{stage}\"")]);
        let order_id = world.accepted(&order).await;
        assert!(held.executed().await, "{stage}");
        let functions = world.stack.functions.as_ref().unwrap();
        assert!(functions.kill(function_of(*stage)).await > 0, "{stage}");
        drop(held);

        assert_eq!(world.ended(&order_id).await["status"], "COMPLETED", "{stage}");
        let events = journey(&mut world, &order_id, 1).await;
        assert_eq!(distinct(&events), happy_events(), "{stage}");
    }
    let reserved = 2 * stages.len();
    let expected = ((100 - reserved).to_string(), reserved.to_string());
    assert_eq!(world.available_and_reserved("SKU-1").await, expected);
    assert_eq!(world.balance("cust-1").await, (1_000 - 10 * stages.len()).to_string());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_intake_leaves_one_order_for_the_same_key() {
    let mut world = world().await;
    let mut held = world.database.hold_response(&["\"S\":\"order-api\""]);
    let order = order();
    let post = world.post(&order, Some("one-order"));
    let kill = async {
        assert!(held.executed().await);
        world.stack.functions.as_ref().unwrap().kill("order-api").await
    };
    let ((status, _), killed) = tokio::join!(post, kill);
    assert_eq!(status, 500);
    assert!(killed > 0);
    drop(held);

    let (status, body) = world.post(&order, Some("one-order")).await;
    assert_eq!(status, 202);
    let order_id = body["orderId"].as_str().unwrap();
    assert_eq!(world.ended(order_id).await["status"], "COMPLETED");
    let events = journey(&mut world, order_id, 1).await;
    assert_eq!(distinct(&events), happy_events());
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}
