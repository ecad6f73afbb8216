//! What the workflow tests work with: a running stack, and a database and providers that can be made
//! to fail.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

pub mod database_proxy;
pub mod lossy_proxy;
pub mod stages;
pub mod world;
