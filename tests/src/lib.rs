//! The harness of the workflow tests: a running stack, and proxies that inject faults.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

pub mod database_proxy;
pub mod functions;
pub mod lossy_proxy;
pub mod stages;
pub mod world;
