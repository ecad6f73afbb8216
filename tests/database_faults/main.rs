//! Every statement that the functions send to DynamoDB meets every fault that DynamoDB may have.
//!
//! A cell is a scenario, a statement of it, and a fault of that statement. Each cell has an order of
//! its own in one running workflow, and prints one line:
//!
//! ```text
//! cargo test --workspace --test database_faults -- --nocapture
//! ```
//!
//! A run of all scenarios without faults finds the statements that the matrix must have.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its cells"
)]

mod cell;
mod matrix;
mod scenario;
mod statements;
mod subject;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use faults::database_proxy::{Call, Exchange};
use futures::{StreamExt, stream};
use workflow_tests::{
    events::Events,
    world::{World, WorldOptions},
};

use self::{
    cell::Cell,
    matrix::{MATRIX, cells},
    scenario::{PAUSED, Scenario},
    statements::statements,
    subject::Subject,
};

/// Cells at a time, in each round. A request with orders of several cells meets the fault of one of
/// them; the others run again.
const ROUNDS: [usize; 3] = [48, 12, 1];

/// The statements of all requests so far.
type Seen = Arc<Mutex<BTreeSet<String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_meets_every_fault_and_no_order_is_lost_or_doubled() {
    // No schedule runs by itself: a recovery would send the statements of others.
    let schedule_period = Some(std::time::Duration::from_secs(3_600));
    let options = WorldOptions { schedule_period, ..WorldOptions::default() };
    let world = World::start_as(&options).await;
    let events = Events::read(&world.stack.broker).await;
    let seen = observed(&world);

    // Without faults.
    let mut plain: Vec<Subject> = Vec::new();
    for (number, scenario) in Scenario::ALL.into_iter().enumerate() {
        let subject = Subject::new(&format!("plain-{number}"), scenario);
        run_plain(&world, &events, &subject).await;
        plain.push(subject);
    }
    assert_complete(&seen, "without faults");

    let (mut results, mut left) = (Vec::new(), cells());
    for (round, at_a_time) in ROUNDS.into_iter().enumerate() {
        let ran = run_round(left, at_a_time, &world, &events).await;
        let (missed, done): (Vec<_>, Vec<_>) = ran.into_iter().partition(cell::Result::is_missed);
        println!("{} cells at a time: {} done, {} missed", at_a_time, done.len(), missed.len());
        left = missed.iter().map(|result| result.cell.again(round + 1)).collect();
        plain.extend(missed.into_iter().map(|result| result.cell.subject));
        results.extend(done);
    }
    assert!(left.is_empty(), "faults that were not injected: {left:#?}");

    for result in &results {
        println!("cell {result}");
    }
    let failed = results.iter().filter(|it| it.error.is_some()).count();
    println!("database faults: {} cells, {failed} failed", results.len());
    assert_eq!(failed, 0, "failed cells");
    assert_complete(&seen, "with faults");
    check_events(&events, plain.iter().chain(results.iter().map(|it| &it.cell.subject)));
    for (mapping, handle) in &world.stack.mappings {
        let counts = handle.counts().snapshot();
        // One fault is overcome within the invocation that meets it.
        assert_eq!((counts.redelivered, counts.dead_lettered), (0, 0), "{mapping}: {counts:?}");
    }
    world.stop().await;
}

/// Runs cells, so many at a time.
async fn run_round(
    cells: Vec<Cell>,
    at_a_time: usize,
    world: &World,
    events: &Events,
) -> Vec<cell::Result> {
    let mut results = Vec::new();
    let (alone, together): (Vec<_>, Vec<_>) =
        cells.into_iter().partition(|cell| cell.subject.scenario == Scenario::Started);
    // Records in work when the validator is killed would be delivered again.
    results.extend(run_all(alone, 1, world, events).await);
    let (paused, running): (Vec<_>, Vec<_>) =
        together.into_iter().partition(|cell| cell.subject.scenario.needs_pause());
    world.stack.mappings[PAUSED].pause();
    results.extend(run_all(paused, at_a_time, world, events).await);
    world.stack.mappings[PAUSED].resume();
    results.extend(run_all(running, at_a_time, world, events).await);
    for result in &mut results {
        result.end(world, events).await;
    }
    results
}

async fn run_plain(world: &World, events: &Events, subject: &Subject) {
    if subject.scenario.needs_pause() {
        world.stack.mappings[PAUSED].pause();
    }
    subject.scenario.prepare(world, events, subject).await;
    subject.scenario.begin(world, events, subject).await;
    world.stack.mappings[PAUSED].resume();
    subject.scenario.end(world, events, subject).await;
}

async fn run_all(
    cells: Vec<Cell>,
    at_a_time: usize,
    world: &World,
    events: &Events,
) -> Vec<cell::Result> {
    let running = cells.into_iter().map(|cell| cell.run(world, events));
    stream::iter(running).buffer_unordered(at_a_time).collect().await
}

/// Checks that each order has the events of its scenario, and no other order any.
fn check_events<'a>(events: &Events, subjects: impl Iterator<Item = &'a Subject>) {
    let mut types = events.types();
    for subject in subjects {
        let expected: BTreeSet<_> = subject.scenario.events().into_iter().collect();
        let published = types.remove(&subject.order_id).unwrap_or_default();
        assert_eq!(published, expected, "events of {subject:?}");
    }
    types.retain(|order_id, _| order_id.starts_with("ord-"));
    assert!(types.is_empty(), "events of orders that nobody posted: {types:?}");
}

/// Collects the statements of all further requests.
fn observed(world: &World) -> Seen {
    let seen = Seen::default();
    let names = Arc::clone(&seen);
    world.database.observe(move |exchange: &Exchange| {
        let body = serde_json::from_slice(&exchange.request).unwrap_or_default();
        let call = Call { operation: exchange.operation.clone(), body };
        names.lock().unwrap().extend(statements(&call).into_iter().map(|it| it.name));
    });
    seen
}

/// Checks that the matrix has every statement that was sent.
fn assert_complete(seen: &Seen, when: &str) {
    let known: BTreeSet<&str> = MATRIX.iter().map(|(_, name)| *name).collect();
    let seen = seen.lock().unwrap();
    let missing: Vec<_> = seen.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{when}, the matrix lacks statements: {missing:#?}");
}
