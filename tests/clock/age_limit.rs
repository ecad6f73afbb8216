//! A record that is older than the age limit of its mapping, which then gives it up.

use std::time::Duration;

use contracts::EventType;
use emulator::{event_source_mapping::EventSourceMapping, template::Mapping};
use tokio::time::timeout;
use workflow_tests::world::{DEAD_LETTERS, World, WorldOptions};

use crate::{order, published::Published};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_record_is_too_old_for_its_mapping_ends_by_the_recovery() {
    // Ages and schedule are seconds here, minutes in AWS.
    let recovery = [("RECOVERY_AGES_SECONDS", "1"), ("RECOVERY_WINDOW_SECONDS", "600")];
    let mut world = World::start_as(&WorldOptions {
        function_env: &recovery,
        schedule_period: Some(Duration::from_secs(1)),
        ..WorldOptions::default()
    })
    .await;
    world.account("rich", "10").await;
    // The template's shortest age is a minute, so a mapping of the test takes over.
    let usual = &world.stack.mappings["InventoryReserveMapping"];
    usual.pause();
    let declared = usual.declaration().clone();
    let declared = Mapping {
        maximum_record_age: Some(Duration::from_millis(500)),
        consumer_group: format!("{}-short-lived", declared.consumer_group),
        ..declared
    };
    let servers = world.stack.broker.bootstrap_servers();
    let invoke = world.stack.invoke_client().clone();
    let mapping = EventSourceMapping::start(declared, servers, invoke, 2).await.unwrap();
    world.stock("SKU-1", 100).await;
    world.database.keep_throttling_item(&["InventoryReserved"]);
    let order_id = world.accepted(&order("rich")).await;
    let given_up = async {
        while mapping.counts().snapshot().dead_lettered == 0 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    timeout(TIMEOUT, given_up).await.expect("a dead letter");
    assert_eq!(world.status(&order_id).await.unwrap()["status"], "PENDING");

    world.database.clear_faults();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    assert_eq!(world.available_and_reserved("SKU-1").await, ("99".to_owned(), "1".to_owned()));
    assert_eq!(world.balance("rich").await, "9");
    world.until_event(&order_id, EventType::OrderCompleted, 1).await;
    world.until_event(&order_id, EventType::OrderValidated, 2).await;
    let seen = world.until("the records so far", |seen| !seen.is_empty()).await;
    let mut published = Published::default();
    let events = seen.iter().filter(|record| record.topic != DEAD_LETTERS);
    events.for_each(|record| published.add(record));
    assert!(published.times(&order_id, "OrderValidated") > 1, "the recovery has published it");
    mapping.stop().await;
    world.stop().await;
}
