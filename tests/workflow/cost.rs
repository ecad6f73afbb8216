//! Database requests of an order, on which `docs/cost.md` bases its prices.

use faults::database_proxy::Request;
use serde_json::Value;

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
    // Only the intake row is in the indexes by customer and by time; each costs one more write.
    let with = |attribute: &'static str| {
        let has = move |request: &&Request| request.body.contains(attribute);
        requests.iter().filter(has).count()
    };
    let in_indexes = [with("'customerId':?"), with("'intake':?")];
    assert_eq!(in_indexes, [1, 1]);
    let in_indexes = in_indexes.iter().sum::<usize>();
    // Rows of usual orders are below 1 KB: an insert costs one unit, a transaction's action two.
    let written = inserts.iter().sum::<usize>() + in_indexes + 2 * actions.iter().sum::<usize>();
    assert_eq!(written, 14);
    // Payment and notification read their own row and the previous stage's, the close also the
    // intake row; each read costs one unit.
    let keys = bodies("BatchGetItem").into_iter().map(|body| {
        let tables = body["RequestItems"].as_object().unwrap().values();
        tables.map(|table| table["Keys"].as_array().unwrap().len()).sum()
    });
    assert_eq!(keys.collect::<Vec<usize>>(), [2, 2, 3]);
    world.stop().await;
}
