//! Answers for an order: whether it has ended, how, and what each stage said when.

use contracts::{OrderId, OutgoingEvent, StageName};
use serde_json::{Value, json};
use stage::{Content, Row, retry::retry_until};
use tokio::time::Instant;

use crate::{
    answer::Answer,
    caller::Caller,
    conditional::tagged,
    problem::{no_such_order, unavailable},
    request::Request,
    routes::{OrderApi, READ_TIMEOUT},
    wait::preferred_wait,
};

impl OrderApi {
    /// Answers `GET /orders/{orderId}`.
    pub(crate) async fn status(
        &self,
        request: &Request,
        caller: Caller<'_>,
        order_id: &str,
    ) -> Result<Answer, Answer> {
        // What is no id cannot be asked for at the database.
        OrderId::parse(order_id).ok_or_else(no_such_order)?;
        let wait = preferred_wait(request.header("prefer"));
        let mut status = self.status_for(caller, order_id).await?;
        if let Some(seconds) = wait.filter(|_| is_pending(&status)) {
            self.wait_for_end(order_id, seconds).await;
            status = self.status_for(caller, order_id).await?;
        }
        let applied = wait.map(|seconds| format!("wait={seconds}"));
        let answer = Answer::new(200, "application/json", &status);
        Ok(tagged(answer, request.header("if-none-match"))
            .with_some("preference-applied", applied.as_deref()))
    }

    async fn status_for(&self, caller: Caller<'_>, order_id: &str) -> Result<Value, Answer> {
        let until = Instant::now() + READ_TIMEOUT;
        let rows = retry_until(until, || self.clients.store.rows(order_id))
            .await
            .map_err(|trouble| unavailable(&trouble))?;
        let first = rows.iter().find(|row| row.stage == StageName::OrderApi);
        if !caller.may_see(first.and_then(|row| row.listed.as_ref())) {
            return Err(no_such_order());
        }
        status_of(order_id, &rows).ok_or_else(no_such_order)
    }
}

/// What is said of an order until it has ended.
pub(crate) const PENDING: &str = "PENDING";

fn is_pending(status: &Value) -> bool {
    status.get("status").is_some_and(|status| status == PENDING)
}

/// The status of an order, from its rows; `None` where no row is about an order.
fn status_of(order_id: &str, rows: &[Row]) -> Option<Value> {
    let mut events: Vec<(StageName, &OutgoingEvent)> = rows
        .iter()
        .filter_map(|row| match &row.content {
            Content::Event(event) => Some((row.stage, event)),
            Content::Result(_) => None,
        })
        // The report of a bad record is kept in the same table, but is about no order.
        .filter(|(_, event)| !event.reports_bad_record)
        .collect();
    events.sort_by_key(|(stage, _)| *stage);
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
    let status = json!({
        "orderId": order_id,
        "correlationId": first.correlation_id,
        "status": PENDING,
        "timeline": timeline,
    });
    Some(with_end(status, rows.iter().find(|row| row.stage == StageName::Close)))
}

/// What is said of an order, with how it ended where that is known: what is kept of its end takes
/// the place of [`PENDING`].
pub(crate) fn with_end(mut said: Value, close: Option<&Row>) -> Value {
    if let (Some(Row { content: Content::Result(end), .. }), Some(said)) =
        (close, said.as_object_mut())
    {
        said.extend(end.clone());
    }
    said
}

#[cfg(test)]
mod tests {
    use contracts::failure::failure_payload;
    use contracts::{Envelope, EventType, FailureCode, FailureReason, JsonObject, OrderId, Source};
    use stage::Digest;

    use super::*;

    fn row(stage: StageName, content: Content) -> Row {
        let digest = Digest::of_bytes(b"");
        Row { key: "ord-1".to_owned(), stage, content, digest, expires_at: 0, listed: None }
    }

    fn event(event_type: EventType, payload: JsonObject) -> Content {
        let order_id = OrderId::parse("ord-1").unwrap();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let envelope = Envelope::new(event_type, order_id, "corr-1".to_owned(), at, payload);
        Content::Event(OutgoingEvent::write(&envelope).unwrap())
    }

    #[test]
    fn an_order_is_pending_until_it_is_closed() {
        let created = row(StageName::OrderApi, event(EventType::OrderCreated, JsonObject::new()));
        let pending = status_of("ord-1", std::slice::from_ref(&created)).unwrap();
        assert_eq!(pending["status"], "PENDING");
        assert_eq!(pending["correlationId"], "corr-1");

        let result = json!({ "status": "COMPLETED", "closedAt": "2026-02-06T12:00:00Z" });
        let closed = row(StageName::Close, Content::Result(result.as_object().unwrap().clone()));
        let validated =
            row(StageName::Validator, event(EventType::OrderValidated, JsonObject::new()));
        let status = status_of("ord-1", &[closed, validated, created]).unwrap();
        assert_eq!(status["status"], "COMPLETED");
        assert_eq!(status["closedAt"], "2026-02-06T12:00:00Z");
        let stages: Vec<_> = status["timeline"].as_array().unwrap().iter().collect();
        assert_eq!(stages[0]["stage"], "order-api");
        assert_eq!(stages[1]["event"], "OrderValidated");
        assert_eq!(stages.len(), 2);
    }

    #[test]
    fn the_report_of_a_bad_record_is_no_order() {
        let source = Source { topic: "order.created".to_owned(), partition: 0, offset: 1 };
        let reason = FailureReason::new(FailureCode::MalformedEvent, "no JSON");
        let payload = failure_payload(&reason, StageName::Validator, &source, None);
        let report = row(StageName::Validator, event(EventType::OrderValidationFailed, payload));
        assert_eq!(status_of("order.created-0-1", &[report]), None);
        assert_eq!(status_of("ord-1", &[]), None);
    }
}
