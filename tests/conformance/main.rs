//! Conformance of every stage: the functions' processes with a broker, a database, and faults.
//!
//! A case is a stage in a situation, and prints one line:
//!
//! ```text
//! cargo test --workspace --test conformance -- --nocapture
//! ```
//!
//! Uses the binaries, the workflow table, topics and tables, but not the engine.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its cases"
)]

mod memory;
mod situations;
mod tally;

use workflow_tests::conformance::harness;

use self::tally::for_every_stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_batch_changes_nothing_and_calls_nobody_again() {
    for_every_stage("delivered again", 3, situations::delivered_again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_the_same_orders_have_one_effect() {
    for_every_stage("two processes at once", 6, situations::two_processes_at_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_request_is_retried_without_another_call_outside() {
    for_every_stage("insert throttled, whole request", 3, situations::throttled_request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_item_is_retried_without_another_call_outside() {
    for_every_stage("insert throttled, single item", 3, situations::throttled_item).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_answer_is_an_error_counts_once() {
    for_every_stage("insert with response 500", 3, situations::lost_response).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_answer_is_cut_counts_once() {
    for_every_stage("insert's connection cut", 3, situations::cut_response).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_survive_the_absence_of_the_broker() {
    for_every_stage("broker unavailable", 3, situations::broker_unavailable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_follows_the_input() {
    let harness = harness::Harness::start().await;
    let usual = memory::Measured::start(&harness, "usual").await;
    let batch: Vec<_> = (0..500).map(memory::usual).collect();
    let peak = usual.deliver(&batch).await;
    println!("a batch of 500 usual orders peaks at {peak} MB");
    assert!(peak < 32, "{peak} MB");

    for (shape, value) in [
        ("small numbers", memory::largest("1,", "{\"items\":[", "]}")),
        ("small objects", memory::largest("{},", "{\"items\":[", "]}")),
        ("not an object", memory::largest("1,", "[", "]")),
    ] {
        let process = memory::Measured::start(&harness, &shape.replace(' ', "-")).await;
        let peak = process.deliver(&[value]).await;
        println!("an event of 6 MB of {shape} peaks at {peak} MB");
        assert!(peak < 64, "{shape}: {peak} MB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_order_and_a_malformed_record_delay_nobody() {
    for_every_stage("faults beside valid orders", 4, situations::faults_beside_valid_orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_after_the_insert_is_taken_over_from() {
    for_every_stage("killed after the insert", 1, situations::killed_after_insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_amid_a_group_is_taken_over_from() {
    let situation = situations::group_killed_after_insert;
    for_every_stage("group killed after the insert", 6, situation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_record_of_an_order_decides() {
    for_every_stage("conflicting duplicate", 1, situations::conflicting_duplicate).await;
}
