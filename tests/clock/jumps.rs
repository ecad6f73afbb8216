//! Clocks an hour ahead or behind at any step of an order, and again at each redelivery.

use std::collections::BTreeMap;

use contracts::{StageName, Topic};
use engine::RowBody;
use jiff::{SignedDuration, Timestamp};
use strum::VariantArray;
use workflow_tests::{
    api::Api,
    stages::{Record, Stages, set_clock_ahead},
};

use crate::{HOUR, OFFSETS, books, order, published::Published, stages, timeline};

/// The steps at which an order has a clock of its own; the end has that of its redelivery.
const STEPS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
enum Course {
    Completed,
    Declined,
    Cancelled,
}

struct Order {
    id: String,
    course: Course,
    /// Indexes of `OFFSETS`, by step.
    clocks: [usize; STEPS],
}

impl Order {
    fn rows(&self) -> Vec<StageName> {
        use StageName::{Close, Inventory, Notification, OrderApi, Payment, Release, Validator};
        let end = if self.course == Course::Completed { Notification } else { Release };
        vec![OrderApi, Validator, Inventory, Payment, end, Close]
    }

    /// The number of its events: the release and the close publish none.
    fn events(&self) -> usize {
        if self.course == Course::Completed { 5 } else { 4 }
    }
}

/// Every order of every course, with every combination of clocks.
async fn accept(api: &Api) -> Vec<Order> {
    let mut orders = Vec::new();
    for number in 0..OFFSETS.len().pow(4) {
        for course in Course::VARIANTS {
            let clocks = [0, 1, 2, 3].map(|step| number / OFFSETS.len().pow(step) % OFFSETS.len());
            set_clock_ahead(OFFSETS[clocks[0]]);
            let customer_id = if *course == Course::Declined { "poor" } else { "rich" };
            let id = api.accepted(customer_id, &order(customer_id)).await;
            orders.push(Order { id, course: *course, clocks });
        }
    }
    orders
}

/// Delivers the events of a stage on the clocks of a step, and again on the next ones.
async fn deliver(stages: &Stages, orders: &[&Order], of: StageName, step: usize) {
    let mut batches: BTreeMap<(Topic, usize), Vec<Record>> = BTreeMap::new();
    for order in orders {
        let rows = stages.rows(&order.id).await;
        let RowBody::Event(event) = &rows[&of].body else { panic!("{of} publishes an event") };
        let clock = order.clocks.get(step).copied().unwrap_or_default();
        let batch = batches.entry((event.event_type.topic(), clock)).or_default();
        batch.push(Record::of(event.body.clone()));
    }
    for jump in [0, 1, 2] {
        for ((topic, clock), records) in &batches {
            set_clock_ahead(OFFSETS[(clock + jump) % OFFSETS.len()]);
            for batch in records.chunks(90) {
                stages.deliver(*topic, batch, 1).await;
            }
        }
    }
}

#[tokio::test]
async fn clocks_that_jump_between_the_steps_of_an_order_change_no_decision() {
    let stages = stages().await;
    let (api, mut tap) = (Api::of(&stages), stages.tap().await);
    let start = Timestamp::now();
    let orders = accept(&api).await;
    let all: Vec<&Order> = orders.iter().collect();
    deliver(&stages, &all, StageName::OrderApi, 1).await;
    deliver(&stages, &all, StageName::Validator, 2).await;
    for order in orders.iter().filter(|order| order.course == Course::Cancelled) {
        for jump in [0, 1, 2] {
            set_clock_ahead(OFFSETS[(order.clocks[3] + jump) % OFFSETS.len()]);
            let target = format!("/orders/{}/cancel", order.id);
            let response = api.send("rich", ("POST", &target), &[], "").await;
            assert_eq!(response.status, 202, "{response:?}");
        }
    }
    deliver(&stages, &all, StageName::Inventory, 3).await;
    deliver(&stages, &all, StageName::Payment, 4).await;
    let completed: Vec<_> =
        orders.iter().filter(|order| order.course == Course::Completed).collect();
    deliver(&stages, &completed, StageName::Notification, 5).await;

    set_clock_ahead(SignedDuration::ZERO);
    let paid = i64::try_from(completed.len()).unwrap();
    assert_eq!(books(&stages).await, [paid; 3]);
    let mut went_back = 0;
    for order in &orders {
        went_back += usize::from(has_ended(&stages, &api, order, start).await);
    }
    assert!(went_back > orders.len() / 2, "{went_back} time-lines go back");
    let events = orders.iter().map(Order::events).sum();
    Published::default().until(&mut tap, events).await;
    println!("{} orders, {events} events, {went_back} time-lines that go back", orders.len());
}

/// Asserts that the order has ended, once, and expires with all its rows; gives whether its
/// time-line goes back.
async fn has_ended(stages: &Stages, api: &Api, order: &Order, start: Timestamp) -> bool {
    let rows = stages.rows(&order.id).await;
    let decided: Vec<_> = rows.keys().copied().collect();
    assert_eq!(decided, order.rows(), "{:?} {:?}", order.course, order.clocks);
    // A backward jump at the first step brings the expiry forward by as much, and no more.
    let (first, ttl) = (start.as_second(), stages.context.row_ttl.as_secs());
    let (hour, slack) = (HOUR.as_secs(), 600);
    for (stage, row) in &rows {
        let lifetime = row.expires_at - first;
        assert!((ttl - hour..=ttl + hour + slack).contains(&lifetime), "{stage}: {lifetime}");
    }
    let customer_id = if order.course == Course::Declined { "poor" } else { "rich" };
    let target = format!("/orders/{}", order.id);
    let status = api.send(customer_id, ("GET", &target), &[], "").await.body;
    let expected = if order.course == Course::Completed { "COMPLETED" } else { "FAILED" };
    assert_eq!(status["status"], expected, "{:?}: {status}", order.course);
    timeline::goes_back(&status)
}
