//! Posts the orders of a plan at its rate.

use std::ops::Range;

use futures::stream::{self, TryStreamExt};
use tokio::time::Instant;

use super::fault::Kind;
use super::plan::{Plan, Post};
use super::tally::Tally;
use crate::demo::drive::{DriveError, Driver};
use crate::demo::orders::Repeat;

/// Orders whose request is due or in flight. More than the rate times the longest outage, so that the
/// rate holds.
const MAX_CONCURRENT: usize = 512;

/// Posts the orders with these numbers, the first at `started`.
pub(super) async fn run(
    driver: &Driver<'_>,
    plan: &Plan,
    numbers: Range<u64>,
    started: Instant,
    tally: &Tally,
) -> Result<(), DriveError> {
    let first = numbers.start;
    stream::iter(numbers.map(Ok))
        .try_for_each_concurrent(MAX_CONCURRENT, async |number| {
            tokio::time::sleep_until(started + plan.due(number - first)).await;
            let Some(Post { order, gone_after }) = plan.post(number) else { return Ok(()) };
            if let Some(after) = gone_after {
                driver.send_and_leave(number, &order, after).await;
                tally.add(Kind::ClientGone, 1);
                return Ok(());
            }
            Box::pin(driver.send(number, &order)).await?;
            let kind = match order.repeat {
                Repeat::Nothing => None,
                Repeat::Request => Some(Kind::RepeatedRequest),
                Repeat::Record => Some(Kind::RepeatedRecord),
            };
            let cancellation = order.cancelled_after.map(|_| Kind::Cancellation);
            kind.into_iter().chain(cancellation).for_each(|kind| tally.add(kind, 1));
            Ok(())
        })
        .await
}
