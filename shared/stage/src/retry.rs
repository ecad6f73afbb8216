//! What to do with trouble that passes: try again while there is time, then say so.

use std::{error::Error, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use tokio::time::{Instant, timeout_at};

/// Trouble that passes: the record is to be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed")]
pub struct Retry {
    doing: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Retry {
    /// Trouble while doing something, with what it came from.
    pub fn new(doing: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing: doing.into(), source: Some(source.into()) }
    }

    /// The time ran out while doing something.
    pub fn out_of_time(doing: impl Into<String>) -> Self {
        Self { doing: doing.into(), source: None }
    }

    /// The trouble and everything it came from, as one line for a log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

/// Tries again with growing, jittered pauses until it succeeds or the time is up.
///
/// # Errors
/// The last trouble, once `until` has come.
pub async fn retry_until<T, Attempt, Fut>(until: Instant, attempt: Attempt) -> Result<T, Retry>
where
    Attempt: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Retry>>,
{
    // Short at first, since most trouble is two orders wanting one item at the same time.
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_secs(1))
        .with_jitter()
        .without_max_times();
    let attempts =
        attempt.retry(pauses).when(|_| Instant::now() < until).notify(|trouble, pause| {
            let pause_ms = pause.as_millis();
            tracing::debug!(error = %trouble.chain(), %pause_ms, "trying again");
        });
    match timeout_at(until, attempts).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Retry::out_of_time("finishing within the time that was left")),
    }
}
