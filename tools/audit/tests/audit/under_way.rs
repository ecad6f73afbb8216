//! Audits of a system whose functions are killed while orders are under way.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use workflow_tests::world::World;

use crate::{
    environment, order,
    program::{Database, audit, item, text},
    rows::Sample,
};

const ORDERS: usize = 120;
/// Between two kills, at first.
const PAUSE: Duration = Duration::from_millis(250);

const TIMEOUT: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn orders_under_way_and_killed_functions_are_no_false_alarm() {
    let world = World::start().await;
    // Some orders find no stock, some no money.
    world.stock("SKU-1", 180).await;
    world.account("cust-1", "900").await;
    let folder = tempfile::tempdir().unwrap();
    let opening = folder.path().join("opening.json").display().to_string();
    let environment = environment(&world);
    let saved = audit(&environment, &["--save", &opening]).await;
    assert_eq!(saved.status, 0, "{saved:?}");

    let is_over = AtomicBool::new(false);
    let accepted = AtomicUsize::new(0);
    // Ends after a whole kill: the next request would meet the process that is about to exit.
    let kills = async {
        let functions = world.stack.functions.as_ref().unwrap();
        let names = ["validator", "inventory", "payment", "notification", "order-api"];
        let (mut pause, mut accepted_before) = (PAUSE, 0);
        let kills = names.iter().enumerate().cycle();
        for (number, name) in kills.take_while(|_| !is_over.load(Ordering::Relaxed)) {
            tokio::time::sleep(pause).await;
            functions.kill(name).await;
            if number == names.len() - 1 {
                // Else no order may be accepted between two kills on a busy machine.
                let accepted = accepted.load(Ordering::Relaxed);
                if accepted == accepted_before && accepted < ORDERS {
                    pause *= 2;
                }
                accepted_before = accepted;
            }
        }
    };
    let audits = async {
        while accepted.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut under_way = 0;
        for _ in 0..6 {
            let found = audit(&environment, &["--opening", &opening]).await;
            assert_eq!((found.status, found.findings()), (0, vec![]), "{found:?}");
            assert_eq!(found.report["open"], json!([]), "{found:?}");
            under_way += found.report["orders"].as_u64().unwrap();
        }
        assert!(under_way > 0, "no audit saw an order");
    };
    let orders = async {
        let mut ids = Vec::new();
        for number in 0..ORDERS {
            let mut order = order("12.5");
            if number % 10 == 0 {
                order["items"] = json!([]);
            }
            // A request whose function is killed is sent again with its key.
            let key = format!("key-{number}");
            let id = loop {
                let (status, body) = world.post(&order, Some(&key)).await;
                if status == 202 {
                    break body["orderId"].as_str().unwrap().to_owned();
                }
            };
            accepted.fetch_add(1, Ordering::Relaxed);
            if number % 7 == 0 {
                world.cancel(&id).await;
            }
            ids.push(id);
        }
        ids
    };
    let load = async {
        let (ids, ()) = tokio::join!(orders, audits);
        is_over.store(true, Ordering::Relaxed);
        ids
    };
    let all = async { tokio::join!(load, kills).0 };
    let ids = tokio::time::timeout(TIMEOUT, all).await.expect("all orders are accepted");
    let ends = join_all(ids.iter().map(|id| world.ended(id))).await;
    assert!(ends.iter().any(|end| end["status"] == "COMPLETED"));
    assert!(ends.iter().any(|end| end["status"] == "FAILED"));
    let ended = audit(&environment, &["--opening", &opening]).await;
    assert_eq!((ended.status, ended.findings()), (0, vec![]), "{ended:?}");
    assert_eq!(ended.report["orders"], ids.len());
    assert_eq!(ended.report["notes"], json!([]), "{ended:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_beside_an_event_that_is_about_to_be_published_is_no_false_alarm() {
    let world = World::start().await;
    world.stack.mappings.values().for_each(|mapping| mapping.pause());
    let environment = environment(&world);
    let database = Database {
        client: world.stack.database.client().clone(),
        environment: environment.clone(),
    };
    let at = Timestamp::now();
    let (customer, sku) = ("cust-1", "SKU-1");
    let sample = Sample { id: "ord-1", customer, sku, amount: "12.50", at };
    let rows = sample.cancelled();
    let [created, validated, reserved, failed] = &rows[..] else { panic!("four rows") };
    database.insert(&rows).await;
    let number = |value: u8| AttributeValue::N(value.to_string());
    let stock = [("sku", text(sku)), ("available", number(0)), ("reserved", number(1))];
    database.put("STOCK_TABLE", item(stock)).await;
    for row in [created, validated] {
        world.write_event(row.event().unwrap(), 0).await;
    }

    let lost = vec![("event-not-published".to_owned(), "ord-1".to_owned())];
    let look = async |options: &[&str], expected: &[(String, String)]| {
        let found = audit(&environment, options).await;
        assert_eq!(found.findings(), expected, "{found:?}");
    };
    look(&[], &[]).await;
    // The failure was published and consumed, and the reservation's event is still about to be.
    world.write_event(failed.event().unwrap(), 0).await;
    let ends = sample.declined().split_off(4);
    database.insert(&ends).await;
    let stock = [("sku", text(sku)), ("available", number(1)), ("reserved", number(0))];
    database.put("STOCK_TABLE", item(stock)).await;
    look(&[], &[]).await;
    look(&["--open-for", "0s"], &lost).await;
    world.write_event(reserved.event().unwrap(), 0).await;
    look(&["--open-for", "0s"], &[]).await;
    world.stop().await;
}
