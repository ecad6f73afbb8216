//! What the stages of one process share.

use std::time::Duration;

use contracts::{StageName, Topic};
use jiff::{SignedDuration, Timestamp};

use tokio::time::timeout;

use crate::{Publisher, Retry, Store};

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

/// How long connecting may take while a function starts: Lambda gives it 10 seconds.
const WARM_UP_WITHIN: Duration = Duration::from_secs(4);

impl Clients {
    /// Connects to the database and to the brokers of these topics, so that the first batch does not
    /// wait for it. Trouble is logged and left to the first batch.
    pub async fn warm_up(&self, topics: &[Topic]) {
        // Reading any row connects, also one that is not there.
        let row = self.store.row("warm-up", StageName::OrderApi);
        let connected = async { tokio::join!(row, self.publisher.connect(topics)) };
        let trouble = match timeout(WARM_UP_WITHIN, connected).await {
            Ok((database, brokers)) => [database.err(), brokers.err()],
            Err(_elapsed) => {
                [Some(Retry::out_of_time("connecting within the time to start")), None]
            }
        };
        for trouble in trouble.into_iter().flatten() {
            tracing::warn!(error = trouble.chain(), "not connected yet");
        }
    }
}
