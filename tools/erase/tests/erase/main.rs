//! A customer is erased beside running functions, on an embedded database and broker.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first failure")]

mod harness;

use contracts::{EventType, happy_path};
use serde_json::{Value, json};

use harness::{
    CUSTOMER, PERSONAL, erase, items, order, redeliver, until_conflicting, until_events, validate,
    world,
};

#[tokio::test(flavor = "multi_thread")]
async fn redelivered_events_of_an_erased_order_change_nothing() {
    let mut world = world().await;
    let headers = [("x-correlation-id", PERSONAL), ("idempotency-key", "key-1")];
    let body = order("SKU-1", 12.5).to_string();
    let response = world.request("POST", "/orders", &headers, body.clone()).await;
    let accepted: Value = response.json().await.unwrap();
    let order_id = accepted["orderId"].as_str().unwrap().to_owned();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    let happy: Vec<_> = happy_path().filter_map(|it| Some(it.publishes?.accepted)).collect();
    let events = until_events(&mut world, &order_id, &happy).await;

    let kept = erase(&world, &[]).await;
    assert_eq!(kept.status, 1, "{kept:?}");
    kept.line(&format!("order {order_id}: erased, 6 rows overwritten"));
    kept.line("account: not deleted: its balance is 987.5 (pay it out,");
    let erased = erase(&world, &["--discard-balance"]).await;
    assert_eq!(erased.status, 0, "{erased:?}");
    erased.line("orders: none in the index");
    erased.line("account: deleted, with a balance of 987.5");
    let rows = items(&world).await;
    for text in [CUSTOMER, PERSONAL, "personal"] {
        assert!(!rows.iter().any(|row| row.contains(text)), "{text}: {rows:?}");
    }
    let list = world.request("GET", "/orders?customerId=cust-personal", &[], String::new()).await;
    assert_eq!(list.json::<Value>().await.unwrap()["orders"], json!([]));
    assert_eq!(world.status(&order_id).await.unwrap()["status"], "COMPLETED");
    assert_eq!(erase(&world, &[]).await.status, 0, "again");

    // The customer is back, and every old event is delivered again.
    world.account(CUSTOMER, "1000").await;
    redeliver(&world, &events).await;
    for stage in ["validator", "inventory", "payment", "notification", "close"] {
        until_conflicting(&world, stage).await;
    }
    let repeated = world.request("POST", "/orders", &headers, body).await;
    assert_eq!(repeated.status().as_u16(), 422);
    assert_eq!(world.balance(CUSTOMER).await, "1000");
    assert_eq!(world.available_and_reserved("SKU-1").await, ("98".to_owned(), "2".to_owned()));
    let after = items(&world).await;
    let is_new = |row: &&String| !rows.contains(*row);
    let [account] = &after.iter().filter(is_new).collect::<Vec<_>>()[..] else {
        panic!("{after:?}")
    };
    assert!(account.contains("1000"), "{account}");
    let published = world.until_event(&order_id, EventType::OrderCompleted, 3).await;
    validate(published.iter().filter(|event| !events.contains(event)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_orders_keep_their_code_and_no_text_of_the_client() {
    let mut world = world().await;
    let mut malformed = order("SKU-1", 1.0);
    malformed["items"] = json!([PERSONAL]);
    malformed["totalAmount"] = json!(PERSONAL);
    let mut failed = Vec::new();
    let path = [EventType::OrderCreated, EventType::OrderValidated, EventType::InventoryReserved];
    for (order, accepted, event, code) in [
        (malformed, 1, EventType::OrderValidationFailed, "VALIDATION_FAILED"),
        (order(PERSONAL, 1.0), 2, EventType::OrderInventoryFailed, "UNKNOWN_SKU"),
        (order("SKU-1", 2_000.0), 3, EventType::OrderPaymentFailed, "PAYMENT_DECLINED"),
    ] {
        let order_id = world.accepted(&order).await;
        world.ended(&order_id).await;
        let types: Vec<_> = path[..accepted].iter().copied().chain([event]).collect();
        let events = until_events(&mut world, &order_id, &types).await;
        failed.push((order_id, events, code));
    }
    world.until_reserved("SKU-1", "0").await;
    let erased = erase(&world, &["--discard-balance"]).await;
    assert_eq!(erased.status, 0, "{erased:?}");
    let rows = items(&world).await;
    for text in [CUSTOMER, PERSONAL, "personal"] {
        assert!(!rows.iter().any(|row| row.contains(text)), "{text}: {rows:?}");
    }
    for (order_id, events, code) in &failed {
        let status = world.status(order_id).await.unwrap();
        assert_eq!(status["failureReason"], format!("{code}: erased"), "{status}");
        redeliver(&world, events).await;
    }
    for stage in ["release", "close"] {
        until_conflicting(&world, stage).await;
    }
    let last = &failed[2];
    let published = world.until_event(&last.0, EventType::OrderPaymentFailed, 3).await;
    validate(published.iter().filter(|event| !last.1.contains(event)));
    assert_eq!(items(&world).await, rows);
    assert_eq!(world.available_and_reserved("SKU-1").await, ("100".to_owned(), "0".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_names_a_customer() {
    let world = world().await;
    for order in [order("SKU-1", 1.0), order(PERSONAL, 1.0), order("SKU-1", 2_000.0)] {
        let order_id = world.accepted(&order).await;
        world.ended(&order_id).await;
    }
    let folder = world.stack.functions.as_ref().unwrap().log_dir().to_owned();
    let logs = std::fs::read_dir(folder).unwrap();
    let logs: Vec<_> =
        logs.map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap()).collect();
    assert!(logs.iter().any(|log| log.contains("closed")), "{logs:?}");
    for text in [CUSTOMER, PERSONAL, "personal"] {
        assert!(!logs.iter().any(|log| log.contains(text)), "{text}: {logs:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_order_is_left_with_the_account_until_it_has_ended() {
    let mut world = world().await;
    let ended = world.accepted(&order("SKU-1", 1.0)).await;
    world.ended(&ended).await;
    world.stack.mappings["PaymentMapping"].pause();
    let open = world.accepted(&order("SKU-1", 1.0)).await;
    world.until_event(&open, EventType::InventoryReserved, 1).await;
    let left = erase(&world, &["--discard-balance"]).await;
    assert_eq!(left.status, 1, "{left:?}");
    left.line(&format!("order {open}: not erased: it has not ended"));
    left.line(&format!("order {ended}: erased"));
    left.line("account: not deleted: an order that is not erased may need it");
    world.stack.mappings["PaymentMapping"].resume();
    assert_eq!(world.ended(&open).await["status"], "COMPLETED");
    assert_eq!(erase(&world, &["--discard-balance"]).await.status, 0);
    assert!(!items(&world).await.iter().any(|row| row.contains(CUSTOMER)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_cancelled_before_its_payment_is_erased() {
    let mut world = world().await;
    world.stack.mappings["PaymentMapping"].pause();
    let order_id = world.accepted(&order("SKU-1", 1.0)).await;
    world.until_event(&order_id, EventType::InventoryReserved, 1).await;
    assert_eq!(world.cancel(&order_id).await.0, 202);
    world.ended(&order_id).await;
    world.until_reserved("SKU-1", "0").await;
    let types = [
        EventType::OrderCreated,
        EventType::OrderValidated,
        EventType::InventoryReserved,
        EventType::OrderPaymentFailed,
    ];
    let events = until_events(&mut world, &order_id, &types).await;
    assert_eq!(erase(&world, &["--discard-balance"]).await.status, 0);
    let rows = items(&world).await;
    assert!(!rows.iter().any(|row| row.contains(CUSTOMER) || row.contains("personal")), "{rows:?}");
    world.stack.mappings["PaymentMapping"].resume();
    redeliver(&world, &events).await;
    until_conflicting(&world, "close").await;
    world.until_event(&order_id, EventType::OrderPaymentFailed, 3).await;
    assert_eq!(items(&world).await, rows);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_order_keeps_its_items_until_its_stock_is_released() {
    let world = world().await;
    world.stack.mappings["InventoryReleaseMapping"].pause();
    let order_id = world.accepted(&order("SKU-1", 2_000.0)).await;
    assert_eq!(world.ended(&order_id).await["status"], "FAILED");
    let left = erase(&world, &[]).await;
    assert_eq!(left.status, 1, "{left:?}");
    left.line(&format!("order {order_id}: not erased: its stock is not released yet"));
    world.stack.mappings["InventoryReleaseMapping"].resume();
    world.until_reserved("SKU-1", "0").await;
    assert_eq!(erase(&world, &["--discard-balance"]).await.status, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stops_amid_an_order_is_completed_by_the_next_one() {
    let world = world().await;
    let order_id = world.accepted(&order("SKU-1", 1.0)).await;
    world.ended(&order_id).await;
    world.database.keep_throttling_item(&[&order_id, "PaymentCompleted"]);
    let stopped = erase(&world, &["--discard-balance"]).await;
    assert_eq!(stopped.status, 1, "{stopped:?}");
    let line = stopped.line(&format!("order {order_id}: not erased: overwrite a row:"));
    assert!(!line.contains(CUSTOMER), "{stopped:?}");
    assert!(stopped.stderr.contains("run the command again"), "{stopped:?}");
    assert!(items(&world).await.iter().any(|row| row.contains("erased")), "it had begun");
    world.database.clear_faults();
    let completed = erase(&world, &["--discard-balance"]).await;
    assert_eq!(completed.status, 0, "{completed:?}");
    assert!(!items(&world).await.iter().any(|row| row.contains(CUSTOMER)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing_and_what_remains_is_dated_by_the_template() {
    let world = world().await;
    let order_id = world.accepted(&order("SKU-1", 1.0)).await;
    world.ended(&order_id).await;
    let rows = items(&world).await;
    let before = jiff::Timestamp::now();
    let dry = erase(&world, &["--dry-run", "--discard-balance"]).await;
    let after = jiff::Timestamp::now();
    assert_eq!(dry.status, 0, "{dry:?}");
    dry.line(&format!("order {order_id}: would be erased, 6 rows"));
    dry.line("account: would be deleted");
    assert_eq!(items(&world).await, rows);
    for (topic, place) in [("order.created", "topics"), ("order.dead-letter", "dead letters")] {
        let topic = world.stack.template.topics.iter().find(|it| it.name == topic).unwrap();
        let retention = topic.configs.iter().find(|(name, _)| name == "retention.ms").unwrap();
        let retention = jiff::SignedDuration::from_millis(retention.1.parse().unwrap());
        // The program may have run at midnight.
        let until = [before, after].map(|at| (at + retention).strftime("%Y-%m-%d").to_string());
        let line = dry.line(place);
        assert!(until.iter().any(|date| line.contains(date)), "{until:?}: {dry:?}");
    }
    let nobody = erase(&world, &["--customer", ""]).await;
    assert_eq!(nobody.status, 2, "{nobody:?}");
    world.stop().await;
}
