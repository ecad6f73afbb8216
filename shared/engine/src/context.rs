//! The clients and settings that the stages of one process share.

use std::time::Duration;

use contracts::{Envelope, Topic, parse_rfc3339};
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::{Clock, OrdersTable, Publisher, TransientError};

/// The limit for connecting during start-up, for which Lambda allows 10 seconds.
pub const WARM_UP_TIMEOUT: Duration = Duration::from_secs(4);

/// The clients and settings that the stages of one process share.
#[derive(Debug, Clone)]
pub struct Context {
    pub orders: OrdersTable,
    pub publisher: Publisher,
    pub clock: Clock,
    /// The lifetime of a row.
    pub row_ttl: SignedDuration,
    /// Set if the event-source mapping reads partial responses.
    pub reports_batch_item_failures: bool,
}

impl Context {
    /// Connects to the database and to the brokers of these topics.
    ///
    /// Errors are logged; the first batch connects again.
    pub async fn warm_up(&self, topics: &[Topic]) {
        let (database, brokers) = tokio::join!(
            timeout(WARM_UP_TIMEOUT, self.orders.connect()),
            timeout(WARM_UP_TIMEOUT, self.publisher.connect(topics)),
        );
        let timed_out = |operation| Err(TransientError::timed_out(operation, None));
        let database = database.unwrap_or_else(|_| timed_out("connecting to the database"));
        let brokers = brokers.unwrap_or_else(|_| timed_out("connecting to the brokers"));
        for error in [database.err(), brokers.err()].into_iter().flatten() {
            tracing::warn!(error = error.chain(), "not connected yet");
        }
    }

    /// The expiry of a row that is decided now. It is counted from the event's time, so that the
    /// rows of an order expire together.
    ///
    /// A time in the future, or more than half a lifetime ago, is ignored: the row must outlive
    /// every redelivery of its record.
    pub(crate) fn expires_with(&self, event: &Envelope<'_>, now: Timestamp) -> i64 {
        let is_recent =
            |time: &Timestamp| *time <= now && now.duration_since(*time) < self.row_ttl / 2;
        let time = parse_rfc3339(&event.timestamp).filter(is_recent);
        self.expires_at(time.unwrap_or(now))
    }

    /// The expiry of a row that is inserted now, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self, now: Timestamp) -> i64 {
        now.as_second().saturating_add(self.row_ttl.as_secs())
    }
}
