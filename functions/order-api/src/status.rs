//! `GET /orders/{orderId}`: the status of an order and the time-line of its stages.

use std::borrow::Cow;

use contracts::{JsonObject, OrderId, StageName, StoredEvent};
use engine::{Row, RowBody};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    caller::Caller,
    etag::with_etag,
    orders::{retry_until, rows},
    problem::{damaged, no_such_order, unavailable},
    progress,
    request::Request,
    response::Response,
    routes::{OrderApi, READ_TIMEOUT},
};

impl OrderApi {
    /// Handles `GET /orders/{orderId}`.
    pub(crate) async fn status(
        &self,
        request: &Request,
        caller: Caller<'_>,
        address: &str,
    ) -> Result<Response, Response> {
        let mut wait = self.waits.preferred(request.headers.list("prefer"));
        let (order_id, rows) = self.find(caller, address).await?;
        let mut status = status_of(&order_id, &rows).ok_or_else(no_such_order)?;
        if let Some(seconds) = wait.filter(|_| is_pending(&status)) {
            let granted = self.wait_for_end(request, &order_id, seconds).await;
            wait = Some(granted);
            if granted > 0 {
                status = self.status_for(caller, &order_id).await?;
            }
        }
        let applied = wait.map(|seconds| format!("wait={seconds}"));
        let response = Response::new(200, "application/json", &status);
        Ok(with_etag(response, request.headers.list("if-none-match"))
            .with_some("preference-applied", applied.as_deref()))
    }

    async fn status_for(&self, caller: Caller<'_>, order_id: &str) -> Result<Value, Response> {
        status_of(order_id, &self.rows_for(caller, order_id).await?).ok_or_else(no_such_order)
    }

    /// The order of a path segment, with its rows. API Gateway decodes a path once and cuts it at a
    /// question mark, so an id with a question mark is encoded twice.
    pub(crate) async fn find<'a>(
        &self,
        caller: Caller<'_>,
        address: &'a str,
    ) -> Result<(Cow<'a, str>, Vec<Row>), Response> {
        match self.rows_for(caller, address).await {
            Err(response) if response.status == 404 && address.contains('%') => {
                let decoded = percent_decode_str(address).decode_utf8();
                let order_id = decoded.map_err(|_| no_such_order())?;
                let rows = self.rows_for(caller, &order_id).await?;
                Ok((order_id, rows))
            }
            rows => Ok((address.into(), rows?)),
        }
    }

    /// The rows of an order that the caller may see; at least one of them has an event.
    async fn rows_for(&self, caller: Caller<'_>, order_id: &str) -> Result<Vec<Row>, Response> {
        // Text that is not an id cannot be a key of the database.
        OrderId::parse(order_id).ok_or_else(no_such_order)?;
        let until = Instant::now() + READ_TIMEOUT;
        let (rows, unreadable) = retry_until(until, || rows(&self.context.orders, order_id))
            .await
            .map_err(|error| unavailable(&error))?;
        let first = progress::row_of(&rows, StageName::OrderApi);
        let may_see = caller.may_see(first.and_then(|row| row.customer_index.as_ref()));
        match unreadable {
            // Without its first row nobody can tell whose order it is.
            Some(row) if may_see || first.is_none() => Err(damaged(&row, order_id)),
            _ if !may_see || progress::published(&rows).next().is_none() => Err(no_such_order()),
            _ => Ok(rows),
        }
    }
}

/// The status of an order that has not ended.
pub(crate) const PENDING: &str = "PENDING";

/// The status of an order that was rejected.
pub(crate) const FAILED: &str = "FAILED";

fn is_pending(status: &Value) -> bool {
    status.get("status").is_some_and(|status| status == PENDING)
}

/// The status of an order, from its rows; `None` if no row is about an order.
fn status_of(order_id: &str, rows: &[Row]) -> Option<Value> {
    let events: Vec<(StageName, &StoredEvent)> = progress::published(rows).collect();
    let (_, first) = events.first()?;
    let timeline: Vec<Value> = events
        .iter()
        .map(|(stage, event)| {
            json!({
                "stage": stage.name(),
                "event": event.event_type.name(),
                "timestamp": event.timestamp,
            })
        })
        .collect();
    let mut status = json!({
        "orderId": order_id,
        "correlationId": first.correlation_id,
        "status": PENDING,
        "timeline": timeline,
    });
    if let (Some(cancellation), Some(fields)) = (progress::early(rows), status.as_object_mut()) {
        fields.insert("cancelledAt".to_owned(), cancellation.timestamp.as_str().into());
    }
    Some(with_closing(status, progress::row_of(rows, StageName::Close)))
}

/// Merges the fields stored at closing into the response, replacing [`PENDING`].
pub(crate) fn with_closing(mut response: Value, close: Option<&Row>) -> Value {
    if let (Some(Row { body: RowBody::Data(json), .. }), Some(fields)) =
        (close, response.as_object_mut())
    {
        fields.extend(serde_json::from_str::<JsonObject>(json).unwrap_or_default());
    }
    response
}

#[cfg(test)]
mod tests {
    use contracts::{
        EventType, Failure, FailureCode, FailureReason, OrderId, RecordPosition, Topic,
    };
    use engine::{Digest, RowKey};
    use jiff::Timestamp;

    use super::*;

    fn row(stage: StageName, body: RowBody) -> Row {
        let key = RowKey { id: "ord-1".to_owned(), stage };
        Row { key, body, digest: Digest::of(b""), expires_at: 0, customer_index: None }
    }

    fn event(event_type: EventType, payload: &str) -> StoredEvent {
        let order_id = OrderId::parse("ord-1").unwrap();
        StoredEvent::new(event_type, &order_id, "corr-1", Timestamp::UNIX_EPOCH, payload)
    }

    #[test]
    fn an_order_is_pending_until_it_is_closed() {
        let event = |event_type| RowBody::Event(event(event_type, "{}"));
        let created = row(StageName::OrderApi, event(EventType::OrderCreated));
        let pending = status_of("ord-1", std::slice::from_ref(&created)).unwrap();
        assert_eq!(pending["status"], "PENDING");
        assert_eq!(pending["correlationId"], "corr-1");

        let closed = json!({ "status": "COMPLETED", "closedAt": "2026-02-06T12:00:00Z" });
        let closed = row(StageName::Close, RowBody::Data(closed.to_string()));
        let validated = row(StageName::Validator, event(EventType::OrderValidated));
        let status = status_of("ord-1", &[closed, validated, created]).unwrap();
        assert_eq!(status["status"], "COMPLETED");
        assert_eq!(status["closedAt"], "2026-02-06T12:00:00Z");
        let stages: Vec<_> = status["timeline"].as_array().unwrap().iter().collect();
        assert_eq!(stages[0]["stage"], "order-api");
        assert_eq!(stages[1]["event"], "OrderValidated");
        assert_eq!(stages.len(), 2);
    }

    #[test]
    fn the_report_of_a_malformed_record_is_not_an_order() {
        let source = RecordPosition { topic: Topic::OrderCreated, partition: 0, offset: 1 };
        let reason = FailureReason::new(FailureCode::MalformedEvent, "not JSON");
        let stage = StageName::Validator;
        let failure = Failure {
            reason: &reason,
            stage,
            source: Some(source),
            original_payload: None,
            is_malformed_report: true,
        };
        let report = event(EventType::OrderValidationFailed, &failure.to_json());
        let report = row(stage, RowBody::Event(report.as_malformed_report()));
        assert_eq!(status_of("order.created-0-1", &[report]), None);
        assert_eq!(status_of("ord-1", &[]), None);
    }
}
