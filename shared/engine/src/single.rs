//! Single rows, outside of a batch: an intake, an early rejection, a recovered event.

use contracts::{Envelope, FailureReason, StageName, TraceContext};
use tokio::time::Instant;

use crate::{
    Engine, Row, StageSpan, TransientError, error::Error, new_row::NewRow, rows::Rows,
    slot::published,
};

/// An accepted order.
#[derive(Debug)]
pub struct Accepted {
    /// The stored row, which may be an earlier one with the same key.
    pub row: Row,
    pub is_new: bool,
    /// The result of publishing its event.
    pub published: Result<(), TransientError>,
}

impl Engine {
    /// Accepts an order: stores its first row unless there is one, and publishes the stored event.
    ///
    /// # Errors
    /// If the row cannot be stored by `until`.
    pub async fn accept(
        &self,
        row: Row,
        trace: Option<&TraceContext>,
        until: Instant,
    ) -> Result<Accepted, Error> {
        let (key, started) = (row.key.clone(), (self.context.clock)());
        let mut rows = Rows::of_row(&self.context, row, trace);
        self.settle(&mut rows, until).await;
        let accepted = rows.accepted().await;
        if let Some(tracer) = &self.tracer {
            let times = (started, (self.context.clock)());
            tracer.record(&StageSpan::of_intake(&key, trace, &accepted, times));
        }
        accepted
    }

    /// Rejects an order at a stage before the event of that stage. `event` is an earlier event of
    /// the order. Returns the stored row, which may be the decision of the stage; its event is not
    /// published.
    ///
    /// # Errors
    /// If the row cannot be stored by `until`.
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
    /// If the delivery is not confirmed.
    pub async fn publish(&self, row: &Row) -> Result<(), TransientError> {
        let Some(event) = row.event() else { return Ok(()) };
        published(Some(self.context.publisher.publish(&row.key.id, event, None))).await
    }
}
