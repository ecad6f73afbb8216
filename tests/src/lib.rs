//! The harness of the workflow tests: a running stack, and what several of them share.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

pub mod api;
pub mod captured;
pub mod conformance;
pub mod events;
pub mod functions;
pub mod recovery;
pub mod rows;
pub mod stages;
pub mod world;

/// A client of servers on this machine: it uses no proxy of the environment.
#[must_use]
pub fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("the client is valid")
}
