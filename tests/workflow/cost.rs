//! What an order costs at the database, which `docs/cost.md` counts in money.

use serde_json::Value;
use workflow_tests::database_proxy::Request;

use crate::{journey, order, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_costs_the_requests_that_the_cost_page_says() {
    let mut world = world().await;
    let order_id = world.accepted(&order()).await;
    world.ended(&order_id).await;
    journey(&mut world, &order_id, 1).await;

    let requests = world.database.requests(&order_id);
    let count = |operation| requests.iter().filter(|it| it.operation == operation).count();
    // Intake, validator, notification, close.
    assert_eq!(count("PutItem"), 4);
    // The reservation and the payment: a row and one item each.
    let actions: Vec<usize> = requests
        .iter()
        .filter(|it| it.operation == "TransactWriteItems")
        .map(|request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            body["TransactItems"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(actions, [2, 2]);
    // The intake row alone is in the index of orders by customer, which is one more write.
    let in_index = |request: &&Request| request.body.contains("\"acceptedAt\"");
    let in_index = requests.iter().filter(in_index).count();
    assert_eq!(in_index, 1);
    // A row of a usual order is below 1 KB, so a put takes one unit, and an action takes two.
    assert_eq!(count("PutItem") + in_index + 2 * actions.iter().sum::<usize>(), 13);
    // The close reads when the order came in.
    assert_eq!(count("GetItem"), 1);
    world.stop().await;
}
