//! Publishing on brokers that fail: every request type of the producer meets every kind of error,
//! and brokers are slow, change, and are away.
//!
//! A cell has an engine, three brokers and orders of its own, and prints one line:
//!
//! ```text
//! cargo test --workspace --test broker_faults -- --nocapture
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its cells"
)]

mod cell;
mod cluster;
mod functions;
mod matrix;

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::Mutex;
use workflow_tests::stages::Stages;

use self::{
    cell::Cell,
    matrix::{changes, errors, outages},
};

/// Cells at a time; each has three brokers and two clients.
const CELLS: usize = 10;

/// An outage binds a broker's port anew, which fails while a new child process still holds it: no
/// outage of one test beside the processes of another.
static PORTS: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn failing_slow_and_changing_brokers_leave_each_event_published_and_unchanged() {
    let stages = Arc::new(Stages::start().await);
    // Those that take longest come first.
    let cells = changes().into_iter().chain(errors()).collect();
    let failed = run(cells, &stages, CELLS).await;
    assert!(failed.is_empty(), "failed cells:\n  {}", failed.join("\n  "));
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_brokers_leave_each_event_published_and_unchanged() {
    let _ports = PORTS.lock().await;
    let stages = Arc::new(Stages::start().await);
    let failed = run(outages(), &stages, 1).await;
    assert!(failed.is_empty(), "failed cells:\n  {}", failed.join("\n  "));
}

/// Runs cells; returns those that failed.
async fn run(cells: Vec<Cell>, stages: &Arc<Stages>, at_a_time: usize) -> Vec<String> {
    let number = cells.len();
    let running = cells.into_iter().map(|cell| {
        let stages = Arc::clone(stages);
        async move {
            let name = cell.name.clone();
            // A task of its own: its panic fails no other cell.
            (name, tokio::spawn(async move { cell.run(&stages).await }).await)
        }
    });
    let results: Vec<_> = stream::iter(running).buffer_unordered(at_a_time).collect().await;
    let mut failed = Vec::new();
    for (name, result) in results {
        match result {
            Ok(how) => println!("cell {name} ... ok ({how})"),
            Err(error) => {
                println!("cell {name} ... FAILED");
                failed.push(format!("{name}: {error}"));
            }
        }
    }
    println!("broker faults: {number} cells, {} failed", failed.len());
    failed
}
