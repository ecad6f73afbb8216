//! Recovery: publishes, on a schedule, the last event of the orders that have not ended.
//!
//! An order without a `close` row at one of the configured ages has its last event published again,
//! byte for byte: its process stopped before publishing, or the event is a dead letter, or its
//! topic was lost. An order that ended unpaid has its reservation published again while its stock is
//! not released, and at the last age, in case a refund is a dead letter. A repeated event has no
//! second effect.

use std::time::Duration;

use contracts::{FailureCode, FailureReason};
use engine::{
    Row, TransientError,
    engine::ahead_of,
    failpoint::{Point, reach},
};
use futures::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use jiff::SignedDuration;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    accept::PUBLISH_TIMEOUT,
    cancel::{EarlyEnd, end_early},
    open_orders::{
        IntakeRange, intake_ranges, list_by_intake, rows_of_open, rows_of_unpaid, unfinished,
    },
    orders::retry_until,
    progress,
    recovery_check::Check,
    routes::OrderApi,
    schedule::Scheduled,
};

/// The ranges of the index that are read concurrently.
const MAX_PARTS: usize = 8;

/// The time reserved for publishing and responding.
const PUBLISH_MARGIN: Duration = PUBLISH_TIMEOUT.saturating_add(Duration::from_secs(2));

/// The time for a page, so that one that fails keeps no later page from the recovery.
const PAGE_TIMEOUT: Duration = Duration::from_secs(15);

/// Counts of one run at one age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    age_seconds: i64,
    /// The orders that have not ended.
    open: usize,
    /// The open orders whose last event was published again.
    published: usize,
    /// The orders that ended unpaid, and whose reservation was published again.
    settled: usize,
    /// The orders that have expired.
    expired: usize,
}

/// The recovery did not check every order; the next check of an order is at its next age.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The invocation ends.
    #[error("recovery: deadline exceeded: too many orders for one run (shorten the schedule)")]
    OutOfTime,
    /// Reading, storing or publishing failed.
    #[error("recovery: {0}")]
    Failed(String),
}

impl OrderApi {
    /// Recovers the orders that have not ended: those at the configured ages or, on request, every
    /// order accepted since a time.
    ///
    /// # Errors
    /// If not every order was checked; the others were.
    pub async fn recover(
        &self,
        scheduled: Scheduled,
        deadline: Instant,
    ) -> Result<Vec<Recovered>, RecoveryError> {
        let until = ahead_of(deadline, Instant::now(), PUBLISH_MARGIN);
        let Scheduled { at, accepted_since } = scheduled;
        let (ages, window) = match accepted_since {
            Some(since) => (vec![SignedDuration::ZERO], at.duration_since(since)),
            None => (self.recovery.all_ages(), self.recovery.window),
        };
        let parts = ages.iter().enumerate().flat_map(|(index, age)| {
            let ranges = intake_ranges(at - *age - window, at - *age);
            ranges.into_iter().map(move |range| (index, *age, range))
        });
        let done = stream::iter(parts)
            .map(|(index, age, range)| async move {
                (index, self.recover_range(&range, Check { at, age }, until).await)
            })
            .buffer_unordered(MAX_PARTS);
        let done: Vec<_> = done.collect().await;
        let of_age =
            |age: &SignedDuration| Recovered { age_seconds: age.as_secs(), ..Recovered::default() };
        let (mut sums, mut failed): (Vec<_>, _) = (ages.iter().map(of_age).collect(), Ok(()));
        for (index, (recovered, result)) in done {
            if let Some(sum) = sums.get_mut(index) {
                sum.open += recovered.open;
                sum.published += recovered.published;
                sum.settled += recovered.settled;
                sum.expired += recovered.expired;
            }
            failed = failed.and(result);
        }
        for Recovered { age_seconds, open, published, settled, expired } in &sums {
            tracing::info!(
                ageSeconds = age_seconds,
                open,
                published,
                settled,
                expired,
                "open orders"
            );
        }
        reach(Point::BeforeResponse);
        failed.map(|()| sums)
    }

    /// Recovers the orders of one range of the index, page by page.
    async fn recover_range(
        &self,
        range: &IntakeRange,
        check: Check,
        until: Instant,
    ) -> (Recovered, Result<(), RecoveryError>) {
        let (mut sum, mut after, mut done) = (Recovered::default(), None, Ok(()));
        loop {
            if Instant::now() >= until {
                return (sum, done.and(Err(RecoveryError::OutOfTime)));
            }
            let table = &self.context.orders;
            let page = retry_until(until, || list_by_intake(table, range, after.clone())).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => return (sum, done.and(Err(RecoveryError::from(&error)))),
            };
            let until = until.min(Instant::now() + PAGE_TIMEOUT);
            done = done.and(self.recover_orders(&page.ids, check, until, &mut sum).await);
            after = page.next;
            if after.is_none() {
                return (sum, done);
            }
        }
    }

    async fn recover_orders(
        &self,
        ids: &[String],
        check: Check,
        until: Instant,
        sum: &mut Recovered,
    ) -> Result<(), RecoveryError> {
        let table = &self.context.orders;
        let unfinished = retry_until(until, || unfinished(table, ids)).await?;
        let orders = retry_until(until, || rows_of_open(table, &unfinished.open)).await?;
        sum.open += orders.len();
        let unpaid = retry_until(until, || rows_of_unpaid(table, &unfinished.unpaid)).await?;
        let is_last = self.recovery.is_last(check.age);
        let settled = unpaid.iter().filter_map(|rows| progress::to_settle(rows, is_last));
        let settled = join_all(settled.map(|row| self.publish_again(row, check)));
        let recovered = orders.iter().map(|rows| self.recover_order(rows, check, until));
        let (recovered, settled) = join(join_all(recovered), settled).await;
        let mut failed = Ok(());
        for result in recovered {
            match result {
                Ok(has_expired) => {
                    sum.published += 1;
                    sum.expired += usize::from(has_expired);
                }
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        for result in settled {
            sum.settled += usize::from(result.is_ok());
            failed = failed.and(result);
        }
        failed
    }

    /// Recovers one order; returns `true` if it has expired.
    async fn recover_order(
        &self,
        rows: &[Row],
        check: Check,
        until: Instant,
    ) -> Result<bool, RecoveryError> {
        let mut expired = None;
        if self.recovery.expires(check.age_of(rows)) && progress::early(rows).is_none() {
            let reason = FailureReason::new(FailureCode::OrderExpired, "not paid in time");
            let ended = end_early(&self.engine, rows, &reason, until).await;
            match ended.map_err(|error| RecoveryError::Failed(error.chain()))? {
                EarlyEnd::Decided(rows) => expired = Some(rows),
                EarlyEnd::Paid | EarlyEnd::Over => {}
            }
        }
        for row in progress::to_publish(expired.as_deref().unwrap_or(rows)) {
            self.publish_again(row, check).await?;
        }
        Ok(expired.is_some())
    }

    async fn publish_again(&self, row: &Row, check: Check) -> Result<(), RecoveryError> {
        self.engine.publish(row).await?;
        let (order_id, stage) = (&row.key.id, row.key.stage.name());
        tracing::info!(
            orderId = order_id,
            stage,
            ageSeconds = check.age.as_secs(),
            "published again"
        );
        Ok(())
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
