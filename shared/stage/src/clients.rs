//! What the stages of one process share.

use jiff::{SignedDuration, Timestamp};

use crate::{Publisher, Store};

/// Tells the time; `main` says how, so that nothing below it reads a clock.
pub type Clock = fn() -> Timestamp;

/// What the stages of one process share.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For tables of a stage's own.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The orders table.
    pub store: Store,
    /// The brokers.
    pub publisher: Publisher,
    /// The time.
    pub clock: Clock,
    /// How long a row is kept.
    pub row_ttl: SignedDuration,
    /// Whether the mapping reads partial responses.
    pub reports_batch_item_failures: bool,
}
