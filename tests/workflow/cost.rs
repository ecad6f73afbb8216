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
    let bodies = |operation: &str| -> Vec<Value> {
        let of_operation = requests.iter().filter(|it| it.operation == operation);
        of_operation.map(|it| serde_json::from_str(&it.body).unwrap()).collect()
    };
    let lengths = |operation, list: &str| -> Vec<usize> {
        bodies(operation).iter().map(|body| body[list].as_array().unwrap().len()).collect()
    };
    // Intake, validator, notification, close: one row each.
    let inserts = lengths("BatchExecuteStatement", "Statements");
    assert_eq!(inserts, [1, 1, 1, 1]);
    // The reservation and the payment: a row and one item each.
    let actions = lengths("TransactWriteItems", "TransactItems");
    assert_eq!(actions, [2, 2]);
    // The intake row alone is in the indexes by customer and by time, each of which is one more
    // write.
    let with = |attribute: &'static str| {
        let has = move |request: &&Request| request.body.contains(attribute);
        requests.iter().filter(has).count()
    };
    let in_indexes = [with("'customerId':?"), with("'intake':?")];
    assert_eq!(in_indexes, [1, 1]);
    let in_indexes = in_indexes.iter().sum::<usize>();
    // A row of a usual order is below 1 KB: an insert takes one unit, and an action takes two.
    let written = inserts.iter().sum::<usize>() + in_indexes + 2 * actions.iter().sum::<usize>();
    assert_eq!(written, 14);
    // Payment and notification look up their own row and that of the stage before them, the close
    // the intake row too; each takes a unit.
    let keys = bodies("BatchGetItem").into_iter().map(|body| {
        let tables = body["RequestItems"].as_object().unwrap().values();
        tables.map(|table| table["Keys"].as_array().unwrap().len()).sum()
    });
    assert_eq!(keys.collect::<Vec<usize>>(), [2, 2, 3]);
    world.stop().await;
}
