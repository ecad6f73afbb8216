//! A backlog on the embedded broker, which keeps 5 MiB of a partition.

use std::time::Duration;

use crate::{order, world};

/// More orders than all partitions of the embedded broker could keep.
const MAX_ORDERS: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn orders_beyond_the_room_of_the_embedded_broker_are_refused_and_the_accepted_ones_end() {
    let world = world().await;
    if world.stack.broker.mock().is_none() {
        // Any other broker keeps what it was sent.
        return world.stop().await;
    }
    let inventory = &world.stack.mappings["InventoryReserveMapping"];
    world.stock("SKU-1", 1_000).await;
    inventory.pause();
    let mut large = order();
    large["items"][0]["quantity"] = 1.into();
    large["totalAmount"] = 1.into();
    large["note"] = "x".repeat(200_000).into();
    let mut accepted = Vec::new();
    let refused = loop {
        assert!(accepted.len() < MAX_ORDERS, "no order was refused");
        match world.post(&large, None).await {
            (202, response) => accepted.push(response["orderId"].as_str().unwrap().to_owned()),
            other => break other,
        }
    };
    assert_eq!(refused.0, 503, "{}", refused.1);
    let message = refused.1["message"].as_str().unwrap();
    assert!(message.contains("send the request again later"), "{message}");
    assert!(accepted.len() > 5, "{} orders were accepted", accepted.len());
    // The accepted orders can still be cancelled.
    let cancelled = accepted.pop().unwrap();
    assert_eq!(world.cancel(&cancelled).await.0, 202);

    inventory.resume();
    for order_id in &accepted {
        assert_eq!(world.ended(order_id).await["status"], "COMPLETED", "{order_id}");
    }
    assert_eq!(world.ended(&cancelled).await["status"], "FAILED");
    let again = async {
        while world.post(&large, None).await.0 != 202 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("an order is accepted");
    world.stop().await;
}
