//! Frozen processes: the local run stops a function's process between invocations, as Lambda does.
//! Nothing may be left to do at the freeze, and the first invocation after it must succeed, whatever
//! has become of connections, timers and credentials meanwhile.
//!
//! ```text
//! cargo test --workspace --test freezes -- --nocapture
//! FREEZE_SECONDS=900 cargo test --workspace --test freezes -- a_freeze_longer_than_the_timers
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure, and prints its cases"
)]

mod credentials;
mod relay;
mod situations;

use self::situations::for_every_stage;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_to_do_at_a_freeze() {
    for_every_stage("everything done at the freeze", 6, &[()], situations::nothing_left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intake_leaves_nothing_to_do_at_a_freeze() {
    situations::intake().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_broke_in_a_freeze_fail_no_record() {
    let breaks: Vec<_> = <relay::Break as strum::IntoEnumIterator>::iter().collect();
    for_every_stage("idle connections broken", 2, &breaks, situations::broken_connections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expired_in_a_freeze_are_renewed_before_the_first_request() {
    for_every_stage("credentials expired", 2, &[()], situations::expired_credentials).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_longer_than_the_timers_of_the_clients_fails_no_record() {
    for_every_stage("long freeze", 2, &[()], situations::long_freeze).await;
}
