//! The functions' real processes, on clocks that jump an hour while they work.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use contracts::EventType;
use jiff::Timestamp;
use serde_json::Value;
use workflow_tests::world::World;

use crate::{HOUR, OFFSETS, order, published::Published, timeline};

/// Orders of each kind.
const ORDERS: usize = 20;

/// The days of `ROW_TTL_DAYS`.
const TTL_SECONDS: i64 = 30 * 24 * 3_600;

/// The clock of all functions' processes.
struct Clock {
    folder: tempfile::TempDir,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap() };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clock/shifted_clock.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([clock.library(), source])
            .arg("-ldl")
            .status();
        assert!(built.expect("a C compiler, as the README asks for").success());
        clock.set(0);
        clock
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("shifted_clock.so")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }

    fn set(&self, ahead_seconds: i64) {
        fs::write(self.file(), ahead_seconds.to_string()).unwrap();
    }

    /// Jumps at every moment, for ever.
    async fn keep_jumping(&self) {
        for ahead in OFFSETS.into_iter().cycle() {
            self.set(ahead.as_secs());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_whose_clocks_jump_end_every_order_once() {
    let clock = Clock::new();
    let (library, file) = (clock.library(), clock.file());
    let env =
        [("LD_PRELOAD", library.to_str().unwrap()), ("CLOCK_AHEAD_FILE", file.to_str().unwrap())];
    let mut world = World::start_with(&env).await;
    world.stock("SKU-1", 1_000).await;
    world.account("rich", "1000").await;
    world.account("poor", "0").await;
    let start = Timestamp::now();
    let work = async {
        let mut orders = Vec::new();
        for number in 0..ORDERS {
            for customer_id in ["rich", "poor"] {
                orders.push((world.accepted(&order(customer_id)).await, customer_id));
            }
            if number == ORDERS / 2 {
                world.stack.functions.as_ref().unwrap().kill("payment").await;
            }
        }
        let mut went_back = 0;
        for (order_id, customer_id) in &orders {
            let status = world.ended(order_id).await;
            let expected = if *customer_id == "rich" { "COMPLETED" } else { "FAILED" };
            assert_eq!(status["status"], expected, "{status}");
            went_back += usize::from(timeline::goes_back(&status));
        }
        world.until_reserved("SKU-1", &ORDERS.to_string()).await;
        went_back
    };
    let went_back = tokio::select! {
        went_back = work => went_back,
        () = clock.keep_jumping() => unreachable!("it never ends"),
    };
    assert!(went_back > 0, "the clocks of the processes do not jump");
    println!("{} orders, {went_back} time-lines that go back", ORDERS * 2);

    let left = (1_000 - ORDERS).to_string();
    assert_eq!(world.available_and_reserved("SKU-1").await, (left.clone(), ORDERS.to_string()));
    assert_eq!(world.balance("rich").await, left);
    // Five events of an order that completes, four of one that is declined.
    let events = ORDERS * 9;
    let seen = world.until("every event", |seen| distinct_ids(seen) == events).await;
    let mut published = Published::default();
    seen.iter().for_each(|record| published.add(record));
    expires_in_time(&world, start).await;
    assert_eq!(
        world.all_events().iter().filter(|it| **it == EventType::OrderCreated).count(),
        ORDERS * 2
    );
    world.stop().await;
}

fn distinct_ids(seen: &[emulator::tap::TapRecord]) -> usize {
    let ids = seen.iter().flat_map(|record| &record.headers).filter(|(name, _)| name == "ce_id");
    ids.map(|(_, id)| id).collect::<std::collections::BTreeSet<_>>().len()
}

/// No row expires earlier than by the jump back of its intake, or later than by a jump ahead.
async fn expires_in_time(world: &World, start: Timestamp) {
    let rows = world.stack.database.client().scan().table_name(world.stack.table("OrdersTable"));
    let rows = rows.consistent_read(true).into_paginator().items().send();
    let rows = rows.collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(rows.len(), ORDERS * 2 * 6);
    for row in rows {
        let expires_at: i64 = row["expiresAt"].as_n().unwrap().parse().unwrap();
        let lifetime = expires_at - start.as_second() - TTL_SECONDS;
        // Rows are stored up to some minutes after `start`, never before it.
        let expected = -HOUR.as_secs()..=HOUR.as_secs() + 600;
        assert!(expected.contains(&lifetime), "{lifetime}: {:?}", row["stage"]);
        let event = row.get("event").map(|event| event.as_s().unwrap());
        let event: Option<Value> = event.map(|event| serde_json::from_str(event).unwrap());
        assert!(event.is_none_or(|event| event["timestamp"].is_string()));
    }
}
