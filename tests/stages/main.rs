//! The stages themselves, without their processes: what no event, item or failure may do to them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod captured;
mod content;
mod event_order;
mod expiry;
mod held_up;
mod logs;
