//! Single rows, outside of a batch: an intake, an early rejection, a recovered event.

use contracts::{Envelope, FailureReason, StageName, TraceContext};
use tokio::time::Instant;

use crate::{
    Engine, Row, TransientError, error::Error, new_row::NewRow, rows::Rows, slot::published,
};

/// An order that was taken in.
#[derive(Debug)]
pub struct Accepted {
    /// The stored row, which may be an earlier one with the same key.
    pub row: Row,
    /// Whether the row is new.
    pub is_new: bool,
    /// Whether its event was published.
    pub published: Result<(), TransientError>,
}

impl Engine {
    /// Takes an order in: stores its first row unless there is one, and publishes the stored event.
    ///
    /// # Errors
    /// Where the row could not be stored by `until`.
    pub async fn accept(
        &self,
        row: Row,
        trace: Option<&TraceContext>,
        until: Instant,
    ) -> Result<Accepted, Error> {
        let mut rows = Rows::of_row(&self.context, row, trace);
        self.settle(&mut rows, until).await;
        rows.accepted().await
    }

    /// Rejects an order at a stage that has not decided yet, ahead of the event that the stage waits
    /// for. `event` is an earlier one of the order. Returns the stored row, which may be the
    /// stage's own; its event is not published.
    ///
    /// # Errors
    /// Where the row could not be stored by `until`.
    pub async fn reject_early(
        &self,
        stage: StageName,
        event: &Envelope<'_>,
        reason: &FailureReason,
        until: Instant,
    ) -> Result<Row, Error> {
        let NewRow { row, .. } = NewRow::rejected_early(event, reason, self.stamp(stage))?;
        let mut rows = Rows::of_row(&self.context, row, None);
        rows.publishes = false;
        self.settle(&mut rows, until).await;
        Ok(rows.accepted().await?.row)
    }

    /// Publishes the event of a stored row again.
    ///
    /// # Errors
    /// Where it is not known to be delivered.
    pub async fn publish(&self, row: &Row) -> Result<(), TransientError> {
        let Some(event) = row.event() else { return Ok(()) };
        published(Some(self.context.publisher.publish(&row.key.id, event, None))).await
    }
}
