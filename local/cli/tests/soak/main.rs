//! Tests of `soak` as a program: a short one passes with every kind of fault, damage behind its back
//! fails it, and a seed is a plan.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first error")]

mod program;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use program::{Soak, plan};

/// Every kind of fault comes several times, and each of the database for many requests.
const EVERY_KIND: [&str; 8] =
    ["--seconds", "40", "--rate", "12", "--interval", "400", "--seed", "60"];

#[tokio::test]
async fn a_soak_injects_every_kind_of_fault_and_passes() {
    let ended = Soak::start(&EVERY_KIND).end().await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.output.contains("\nSeed 60\n"), "{ended:?}");
    let planned = ended.faults();
    // The kinds of the plan, as the program prints it.
    let of_plan = plan(&EVERY_KIND).await;
    assert!(planned.len() > 15, "{ended:?}");
    for (kind, (count, injected)) in planned {
        assert_eq!(of_plan.lines().filter(|line| line.contains(&kind)).count(), count, "{kind}");
        assert!(injected > 0, "{kind} was not injected: {ended:?}");
    }
}

#[tokio::test]
async fn a_soak_finds_damage_that_is_done_behind_its_back() {
    let options = ["--seconds", "3", "--rate", "5", "--interval", "3600000", "--seed", "1"];
    let mut soak = Soak::start(&options);
    let database = soak.database().await;
    soak.until("Load: ").await;
    // The orders of the warm-up have ended.
    let rows = database.scan().table_name("OrdersTable").send().await.unwrap().items.unwrap();
    let is_completed = |row: &&_| text(row, "stage") == "notification";
    let order_id = text(rows.iter().find(is_completed).unwrap(), "orderId");
    let row = database.delete_item().table_name("OrdersTable");
    let row = row.key("orderId", AttributeValue::S(order_id.clone()));
    row.key("stage", AttributeValue::S("payment".to_owned())).send().await.unwrap();
    let stock = database.update_item().table_name("StockTable");
    let stock = stock.key("sku", AttributeValue::S("CUP-WHITE".to_owned()));
    let stock = stock.update_expression("ADD available :one");
    let stock = stock.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
    stock.send().await.unwrap();

    let ended = soak.end().await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let (_, failed) = ended.output.split_once("\nFailed, ").unwrap();
    assert!(failed.contains("- CUP-WHITE: available + reserved was "), "{ended:?}");
    assert!(failed.contains(&format!("- audit: missing-row, {order_id}")), "{ended:?}");
    assert!(failed.contains(" soak --seconds 3 --seed 1 "), "{ended:?}");
}

fn text(row: &std::collections::HashMap<String, AttributeValue>, name: &str) -> String {
    row[name].as_s().unwrap().clone()
}

#[tokio::test]
async fn the_same_seed_is_the_same_plan() {
    let seeded = async |seed| plan(&["--minutes", "20", "--seed", seed]).await;
    let (first, again, other) = tokio::join!(seeded("7"), seeded("7"), seeded("8"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for line in first.lines() {
        // The time has 12 characters, the kind 34.
        *kinds.entry(line.get(13..47).unwrap().trim()).or_default() += 1;
    }
    assert!(kinds.len() > 15 && kinds.values().all(|count| *count > 20), "{kinds:?}");
}
