//! The crash matrix: SIGKILL of a function's process at every step of every stage, redelivery to
//! another process, and the books; then the rest of the workflow, until every order has ended.
//!
//! A cell is a stage, a failpoint and a shape, and prints one line:
//!
//! ```text
//! cargo test --workspace --test crashes -- --nocapture
//! CRASH_CELLS='payment with stripe / after-call' cargo test --workspace --test crashes -- --nocapture
//! ```
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its cells"
)]

mod cell;
mod finish;
mod matrix;
mod request;
mod run;
mod target;

use engine::failpoint::Point;
use strum::IntoEnumIterator;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_step_is_taken_over_from() {
    matrix::side_by_side().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_killed_at_any_step_is_taken_over_from() {
    matrix::one_after_another().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stage_passes_a_point_that_is_not_applicable_to_it() {
    matrix::not_applicable().await;
}

#[test]
fn every_point_has_a_cell() {
    let cells = cell::cells();
    for point in Point::iter() {
        assert!(cells.iter().any(|cell| cell.point == point), "{point} has no cell");
    }
}
