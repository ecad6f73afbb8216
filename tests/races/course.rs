//! The same order in several processes, cancellations against charges, releases against
//! redeliveries; and the recovery of every open order meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{EventType, StageName, StoredEvent, Topic};
use futures::{StreamExt, stream};
use serde_json::Value;
use workflow_tests::{
    events::{Events, until},
    rows,
    world::World,
};

use crate::{
    CLIENTS, accepted, copies::Copies, ended, is_completed, order, recovery::Recoveries, world,
};

/// Orders of each kind.
const ORDERS: usize = 24;
const UNITS: u32 = 1_000;
const BALANCE: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_in_several_processes_is_decided_once_whatever_comes_between() {
    let (world, _items) = world().await;
    let events = Events::read(&world.stack.broker).await;
    let topics: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    let copies = Copies::of(&world.stack.broker, &topics).await;
    world.stock("A", UNITS).await;
    world.stock("FEW", 1).await;
    let recovery = Recoveries::start(&world);

    let orders: Vec<Value> =
        (0..3 * ORDERS).map(|number| of_kind(number / ORDERS, number)).collect();
    for number in 0..3 * ORDERS {
        world.account(&customer(number), &BALANCE.to_string()).await;
    }
    world.stack.mappings["PaymentMapping"].pause();
    let ids = accepted(&world, &orders).await;
    let reserved = |id: &String| events.count(id, EventType::InventoryReserved) > 0;
    until("all reservations", async || ids.iter().all(reserved)).await;
    // The charges begin while their orders are cancelled.
    world.stack.mappings["PaymentMapping"].resume();
    let cancelled = &ids[..ORDERS];
    let responses = stream::iter(cancelled).map(|id| world.cancel(id)).buffered(CLIENTS);
    let responses: Vec<_> = responses.collect().await;
    let ends = ended(&world, &ids).await;
    recovery.stop();

    let outcomes: BTreeMap<&String, u16> =
        cancelled.iter().zip(responses.iter().map(|response| response.0)).collect();
    let mut completed = 0;
    for (number, id) in ids.iter().enumerate() {
        let code = if outcomes.contains_key(id) { "ORDER_CANCELLED" } else { "PAYMENT" };
        let is_completed = is_completed(id, &ends[id], code);
        if let Some(status) = outcomes.get(id) {
            assert_eq!(*status == 202, !is_completed, "{id}: {status}, {}", ends[id]);
        } else {
            assert_eq!(is_completed, number / ORDERS == 1, "{id}: {}", ends[id]);
        }
        completed += u32::from(is_completed);
        let balance = if is_completed { BALANCE - 10 } else { BALANCE };
        assert_eq!(world.balance(&customer(number)).await, balance.to_string(), "{id}");
    }
    let in_time = outcomes.values().filter(|it| **it == 202).count();
    println!("{in_time} of {ORDERS} cancelled before payment");
    let stock = ((UNITS - 2 * completed).to_string(), (2 * completed).to_string());
    let is_released = async || world.available_and_reserved("A").await == stock;
    until("what the failed orders had reserved", is_released).await;
    until_quiet(&world).await;
    copies.stop();
    assert_eq!(world.available_and_reserved("A").await, stock, "after all redeliveries");
    for id in &ids {
        check_rows(&world, &events, id, ends[id]["status"] == "COMPLETED").await;
    }
    for (mapping, handle) in &world.stack.mappings {
        let counts = handle.counts().snapshot();
        assert_eq!(counts.dead_lettered, 0, "{mapping}: {counts:?}");
    }
    world.stop().await;
}

fn customer(number: usize) -> String {
    format!("cust-{number}")
}

/// Orders that are cancelled, that complete, and that are declined.
fn of_kind(kind: usize, number: usize) -> Value {
    let amount = if kind == 2 { BALANCE + 1 } else { 10 };
    order(&customer(number), "A", 2, amount)
}

/// Checks that an order has the rows of the stages that it passed, and that exactly the events in
/// these rows were published.
async fn check_rows(world: &World, events: &Events, id: &str, is_completed: bool) {
    use StageName::{Close, Inventory, Notification, OrderApi, Payment, Release, Validator};
    let rows = rows::of(world, id).await;
    let last = if is_completed { Notification } else { Release };
    let expected = [OrderApi, Validator, Inventory, Payment, last, Close].map(StageName::name);
    let stages: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(stages, BTreeSet::from(expected), "{id}: rows");
    let mut stored = BTreeSet::new();
    for event in rows.values().filter_map(|row| row.get("event")) {
        let event = event.as_s().expect("the event is text");
        let event = StoredEvent::read(event.clone()).expect("an event");
        let is_published = async || events.count(id, event.event_type) > 0;
        until(&format!("{} of {id}", event.event_type), is_published).await;
        let published = events.first(id, event.event_type).expect("the event is published");
        assert_eq!(published.payload, Some(event.body.into_bytes()), "{id}: {}", event.event_type);
        stored.insert(event.event_type);
    }
    assert_eq!(events.types()[id], stored, "{id}: events");
}

/// Waits until every mapping has delivered what is on its topic.
async fn until_quiet(world: &World) {
    let counts =
        || -> Vec<_> { world.stack.mappings.values().map(|it| it.counts().snapshot()).collect() };
    let mut last = Vec::new();
    let mut unchanged = 0;
    until("the end of all redeliveries", async || {
        let now = counts();
        unchanged = if now == last { unchanged + 1 } else { 0 };
        last = now;
        // A second without a delivery; a mapping polls several times in it.
        unchanged >= 10
    })
    .await;
}
