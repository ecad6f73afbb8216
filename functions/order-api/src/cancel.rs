//! Ends an order before its payment: `POST /orders/{orderId}/cancel`, and expiry.
//!
//! Cancelling decides the payment stage early: it inserts the row of the payment as a rejection,
//! unless there is one. That one conditional write settles the race with the charge.

use contracts::{Envelope, FailureCode, FailureReason, StageName};
use engine::{
    Engine, Row,
    error::Error,
    failpoint::{Point, reach},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    accept::STORE_TIMEOUT,
    caller::Caller,
    problem::{no_such_order, order_unavailable, problem},
    progress,
    request::order_path,
    response::Response,
    routes::OrderApi,
    status::{FAILED, PENDING},
};

/// The result of ending an order early.
pub(crate) enum EarlyEnd {
    /// The order's rows, the last of which is the payment's, and rejects it for this reason.
    Decided(Vec<Row>),
    /// The order is paid.
    Paid,
    /// The order has ended for another reason.
    Over,
}

/// Inserts the payment's row as a rejection, unless the order is paid or has ended.
pub(crate) async fn end_early(
    engine: &Engine,
    rows: &[Row],
    reason: &FailureReason,
    until: Instant,
) -> Result<EarlyEnd, Error> {
    reach(Point::BeforeDecision);
    let row = match progress::row_of(rows, StageName::Payment) {
        // The order failed at an earlier stage, so its rejection is never published.
        Some(row) if row.is_early() && progress::is_over(rows) && !progress::is_reserved(rows) => {
            return Ok(EarlyEnd::Over);
        }
        Some(row) => row.clone(),
        None if progress::is_over(rows) => return Ok(EarlyEnd::Over),
        None => {
            let event = progress::published(rows).last().map(|(_, event)| event.body.as_bytes());
            let event = event.and_then(|body| Envelope::decode(body).ok());
            let Some(event) = event else { return Ok(EarlyEnd::Over) };
            reach(Point::AfterDecision);
            engine.reject_early(StageName::Payment, &event, reason, until).await?
        }
    };
    Ok(if row.is_early() && row.rejection_code() == Some(reason.code) {
        let mut rows = rows.to_vec();
        rows.retain(|it| it.key != row.key);
        rows.push(row);
        EarlyEnd::Decided(rows)
    } else if row.event().is_some_and(|event| !event.event_type.is_failure()) {
        EarlyEnd::Paid
    } else {
        EarlyEnd::Over
    })
}

impl OrderApi {
    /// Handles `POST /orders/{orderId}/cancel`.
    pub(crate) async fn cancel(
        &self,
        caller: Caller<'_>,
        address: &str,
    ) -> Result<Response, Response> {
        let (order_id, rows) = self.find(caller, address).await?;
        let order_id = order_id.as_ref();
        let first = progress::published(&rows).next().ok_or_else(no_such_order)?;
        let correlation_id = &first.1.correlation_id;
        let reason = FailureReason::new(FailureCode::OrderCancelled, "cancelled before payment");
        let until = Instant::now() + STORE_TIMEOUT;
        let ended = end_early(&self.engine, &rows, &reason, until).await;
        match ended.map_err(|error| unavailable(&error, order_id))? {
            EarlyEnd::Paid => Err(problem(409, "a paid order cannot be cancelled")),
            EarlyEnd::Over => {
                self.publish_early_end(&rows, order_id).await?;
                Err(problem(409, "the order has ended: ask for its status"))
            }
            EarlyEnd::Decided(rows) => {
                self.publish_early_end(&rows, order_id).await?;
                let is_closed = progress::row_of(&rows, StageName::Close).is_some();
                let body = json!({
                    "orderId": order_id,
                    "correlationId": correlation_id,
                    "status": if is_closed { FAILED } else { PENDING },
                });
                Ok(Response::new(202, "application/json", &body)
                    .with("location", &order_path(order_id)))
            }
        }
    }

    /// Publishes the early end of an order, also one that was decided before: its process may have
    /// stopped before publishing, and after the last age the recovery checks the order no more.
    async fn publish_early_end(&self, rows: &[Row], order_id: &str) -> Result<(), Response> {
        for row in progress::to_end(rows) {
            let published = self.engine.publish(row).await.map_err(Error::from);
            published.map_err(|error| unavailable(&error, order_id))?;
        }
        Ok(())
    }
}

fn unavailable(error: &Error, order_id: &str) -> Response {
    order_unavailable(error, order_id, "it may be cancelled: send the same request again")
}
