//! Requests about an order of which a row cannot be read.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use workflow_tests::{events::until, rows, world::World};

use crate::{order, world};

/// Replaces an attribute of a row by text that cannot be read; returns the row as it was.
async fn damage(world: &World, order_id: &str, stage: &str, attribute: &str) -> rows::Item {
    let row = rows::of(world, order_id).await.remove(stage).expect("a row");
    let mut damaged = row.clone();
    rows::set(&mut damaged, attribute, AttributeValue::S("COMPLETED".to_owned()));
    rows::put(world, damaged).await;
    row
}

/// The number of errors about damaged rows in the log.
fn reports(world: &World) -> usize {
    let log = world.stack.functions.as_ref().unwrap().log_dir().join("order-api.log");
    let log = std::fs::read_to_string(log).unwrap();
    log.matches("a person must act: the order's rows are damaged").count()
}

async fn send(world: &World, method: &str, path: &str) -> (u16, Value) {
    let response = world.request(method, path, &[], String::new()).await;
    (response.status().as_u16(), response.json().await.expect("a JSON body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_an_order_that_cannot_be_read_is_not_to_be_repeated() {
    let world = world().await;
    let (_, accepted) = world.post(&order(), Some("key-1")).await;
    let order_id = accepted["orderId"].as_str().unwrap();
    let (status, cancel) = (format!("/orders/{order_id}"), format!("/orders/{order_id}/cancel"));
    let ended = world.ended(order_id).await;
    world.accepted(&order()).await;
    for (stage, attribute) in [("close", "result"), ("validator", "event"), ("order-api", "event")]
    {
        let row = damage(&world, order_id, stage, attribute).await;
        for (method, path) in [("GET", &status), ("POST", &cancel)] {
            let (code, problem) = send(&world, method, path).await;
            assert_eq!(code, 500, "{method} with the row of {stage}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("cannot be read: tell those who run this service"), "{detail}");
        }
        if stage == "order-api" {
            let (code, problem) = world.post(&order(), Some("key-1")).await;
            assert_eq!(code, 500, "{problem}");
        }
        // The order hides no other in the customer's list, which has nothing of these rows but the end.
        until("both are logged", async || reports(&world) >= 2).await;
        let (code, list) = send(&world, "GET", "/orders?customerId=cust-1").await;
        let orders = list["orders"].as_array().unwrap();
        assert_eq!((code, orders.len()), (200, 2), "{list}");
        let is_ended = stage != "close";
        assert_eq!(orders[1]["status"] == ended["status"], is_ended, "{list}");
        if !is_ended {
            until("the list is logged", async || reports(&world) == 3).await;
        }
        rows::put(&world, row).await;
        assert_eq!(send(&world, "GET", &status).await, (200, ended.clone()));
    }
    world.stop().await;
}
