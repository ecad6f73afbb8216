//! Recovery: leads on the orders that have not ended, on a schedule.
//!
//! An order that has no `close` row at one of the ages of the settings has the event of its furthest
//! row published again, byte for byte: its process stopped before it was published, or a dead
//! letter or a lost topic holds it. What its event did already, it does not do again.

use std::time::Duration;

use contracts::{FailureCode, FailureReason};
use engine::{Row, TransientError, engine::ahead_of};
use futures::{StreamExt, future::join_all, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    accept::PUBLISH_TIMEOUT,
    cancel::{EarlyEnd, end_early},
    open_orders::{IntakeRange, intake_ranges, list_by_intake, rows_of_open, without_close},
    orders::retry_until,
    progress,
    routes::OrderApi,
};

/// The parts of the index that are read at a time.
const MAX_PARTS: usize = 8;

/// The time reserved for publishing and responding.
const PUBLISH_MARGIN: Duration = PUBLISH_TIMEOUT.saturating_add(Duration::from_secs(2));

/// Counts of one run at one age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    age_seconds: i64,
    /// The orders that have not ended.
    open: usize,
    /// Those of them that were led on.
    published: usize,
    /// Those of them that have expired.
    expired: usize,
}

/// The recovery did not look at every order; the next age of an order is its next chance.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The invocation ends.
    #[error("recovery: out of time: orders may be too many for one run (shorten the schedule)")]
    OutOfTime,
    /// Reading, storing or publishing failed.
    #[error("recovery: {0}")]
    Failed(String),
}

impl OrderApi {
    /// Leads on the orders that have not ended at the ages of the settings.
    ///
    /// # Errors
    /// Where not every order was looked at; the others were.
    pub async fn recover(
        &self,
        at: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Recovered>, RecoveryError> {
        let until = ahead_of(deadline, Instant::now(), PUBLISH_MARGIN);
        let looks = self.recovery.looks();
        let parts = looks.iter().enumerate().flat_map(|(look, age)| {
            intake_ranges(at - *age - self.recovery.window, at - *age)
                .into_iter()
                .map(move |range| (look, *age, range))
        });
        let done = stream::iter(parts)
            .map(|(look, age, range)| async move {
                (look, self.recover_range(&range, age, until).await)
            })
            .buffer_unordered(MAX_PARTS);
        let done: Vec<_> = done.collect().await;
        let of_age =
            |age: &SignedDuration| Recovered { age_seconds: age.as_secs(), ..Recovered::default() };
        let (mut sums, mut failed): (Vec<_>, _) = (looks.iter().map(of_age).collect(), Ok(()));
        for (look, (recovered, result)) in done {
            if let Some(sum) = sums.get_mut(look) {
                sum.open += recovered.open;
                sum.published += recovered.published;
                sum.expired += recovered.expired;
            }
            failed = failed.and(result);
        }
        for Recovered { age_seconds, open, published, expired } in &sums {
            tracing::info!(ageSeconds = age_seconds, open, published, expired, "open orders");
        }
        failed.map(|()| sums)
    }

    /// Leads on the orders of one part of the index, page by page.
    async fn recover_range(
        &self,
        range: &IntakeRange,
        age: SignedDuration,
        until: Instant,
    ) -> (Recovered, Result<(), RecoveryError>) {
        let (mut sum, mut after) = (Recovered::default(), None);
        loop {
            if Instant::now() >= until {
                return (sum, Err(RecoveryError::OutOfTime));
            }
            let table = &self.context.orders;
            let page = retry_until(until, || list_by_intake(table, range, after.clone())).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => return (sum, Err(RecoveryError::from(&error))),
            };
            if let Err(error) = self.recover_orders(&page.ids, age, until, &mut sum).await {
                return (sum, Err(error));
            }
            after = page.next;
            if after.is_none() {
                return (sum, Ok(()));
            }
        }
    }

    async fn recover_orders(
        &self,
        ids: &[String],
        age: SignedDuration,
        until: Instant,
        sum: &mut Recovered,
    ) -> Result<(), RecoveryError> {
        let table = &self.context.orders;
        let open = retry_until(until, || without_close(table, ids)).await?;
        let orders = retry_until(until, || rows_of_open(table, &open)).await?;
        sum.open += orders.len();
        let recovered = orders.iter().map(|rows| self.recover_order(rows, age, until));
        let mut failed = Ok(());
        for result in join_all(recovered).await {
            match result {
                Ok(has_expired) => {
                    sum.published += 1;
                    sum.expired += usize::from(has_expired);
                }
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    /// Leads on one order; whether it has expired.
    async fn recover_order(
        &self,
        rows: &[Row],
        age: SignedDuration,
        until: Instant,
    ) -> Result<bool, RecoveryError> {
        let mut expired = None;
        if self.recovery.expires(age) && progress::early(rows).is_none() {
            let reason = FailureReason::new(FailureCode::OrderExpired, "not paid in time");
            let ended = end_early(&self.engine, rows, &reason, until).await;
            match ended.map_err(|error| RecoveryError::Failed(error.chain()))? {
                EarlyEnd::Decided(row) => expired = Some(*row),
                EarlyEnd::Paid | EarlyEnd::Over => {}
            }
        }
        let row = expired.as_ref().filter(|_| progress::is_reserved(rows));
        let Some(row) = row.or_else(|| progress::furthest(rows)) else { return Ok(false) };
        self.engine.publish(row).await?;
        tracing::info!(
            orderId = row.key.id,
            stage = row.key.stage.name(),
            ageSeconds = age.as_secs(),
            expired = expired.is_some(),
            "published again"
        );
        Ok(expired.is_some())
    }
}

impl From<TransientError> for RecoveryError {
    fn from(error: TransientError) -> Self {
        Self::from(&error)
    }
}

impl From<&TransientError> for RecoveryError {
    fn from(error: &TransientError) -> Self {
        Self::Failed(error.chain())
    }
}
