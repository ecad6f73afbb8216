//! The clients and settings that the stages of one process share.

use std::time::Duration;

use contracts::Topic;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::{OrdersTable, Publisher, TransientError};

/// The limit for connecting during start-up, for which Lambda allows 10 seconds.
pub const WARM_UP_TIMEOUT: Duration = Duration::from_secs(4);

/// Reads the clock; `main` provides it, so that nothing else does.
pub type Clock = fn() -> Timestamp;

/// The clients and settings that the stages of one process share.
#[derive(Debug, Clone)]
pub struct Context {
    /// The orders table.
    pub orders: OrdersTable,
    /// The brokers.
    pub publisher: Publisher,
    /// The clock.
    pub clock: Clock,
    /// How long a row is kept.
    pub row_ttl: SignedDuration,
    /// Whether the event-source mapping reads partial responses.
    pub reports_batch_item_failures: bool,
}

impl Context {
    /// Connects to the database and to the brokers of these topics.
    ///
    /// An error is logged and left to the first batch.
    pub async fn warm_up(&self, topics: &[Topic]) {
        let connected =
            async { tokio::join!(self.orders.connect(), self.publisher.connect(topics)) };
        let errors = match timeout(WARM_UP_TIMEOUT, connected).await {
            Ok((database, brokers)) => [database.err(), brokers.err()],
            Err(_elapsed) => [Some(TransientError::timed_out("connecting", None)), None],
        };
        for error in errors.into_iter().flatten() {
            tracing::warn!(error = error.chain(), "not connected yet");
        }
    }

    /// When a row that is inserted now expires, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self, now: Timestamp) -> i64 {
        now.as_second().saturating_add(self.row_ttl.as_secs())
    }
}
