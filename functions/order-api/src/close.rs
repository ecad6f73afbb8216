//! Closes an order with the first terminal event received.

use contracts::{
    Envelope, FailureCode, Fields, Object, StageName, failure::failure_reason, parse_rfc3339,
};
use engine::{Decision, Needed, Row, RowBody, Stage, error::Error};

use crate::status::FAILED;

/// Stores the outcome of an order.
#[derive(Debug)]
pub struct Close;

impl Stage for Close {
    const NAME: StageName = StageName::Close;
    const NEEDS: &'static [StageName] = &[StageName::OrderApi];
    const ACTS_ON_STORED_EVENT: bool = true;

    async fn decide(&self, event: &Envelope<'_>, needed: &Needed) -> Result<Decision, Error> {
        let mut fields = closing_fields(event);
        if let Some(took_ms) = took_ms(event, needed) {
            fields = fields.with_json("tookMs", took_ms.to_string());
        }
        Ok(Decision::Accept { fields, effects: Vec::new() })
    }

    /// Logs the business metrics, and nothing about the customer.
    fn on_inserted(&self, event: &Envelope<'_>, row: &Row) {
        let RowBody::Data(json) = &row.body else { return };
        let Ok(closed) = Object::parse(json) else { return };
        let reason = closed.string("failureReason");
        // The reason of another producer may begin with any text.
        let code = reason.as_deref().and_then(FailureCode::of_reason).map(FailureCode::name);
        let amount = event.payload.get("totalAmount").and_then(|it| it.parse::<f64>().ok());
        tracing::info!(
            orderId = event.order_id.as_str(),
            correlationId = event.correlation_id.as_ref(),
            status = closed.string("status").as_deref(),
            failedStage = closed.string("failedStage").as_deref(),
            code,
            totalAmount = amount,
            tookMs = closed.get("tookMs").and_then(|it| it.parse::<i64>().ok()),
            "closed"
        );
    }
}

/// The time from the order's first event to its last; `None` if its first row is missing.
fn took_ms(last: &Envelope<'_>, needed: &Needed) -> Option<i64> {
    match &needed.row(StageName::OrderApi)?.body {
        RowBody::Event(first) => milliseconds_between(&first.timestamp, &last.timestamp),
        RowBody::Data(_) => None,
    }
}

fn milliseconds_between(first: &str, last: &str) -> Option<i64> {
    let (first, last) = (parse_rfc3339(first)?, parse_rfc3339(last)?);
    i64::try_from(last.duration_since(first).as_millis()).ok()
}

/// The fields that are stored at closing.
fn closing_fields(event: &Envelope<'_>) -> Fields {
    let mut fields = Fields::default();
    if event.event_type.is_failure() {
        let stage = event.event_type.published_by().name();
        fields = fields.with_string("status", FAILED).with_string("failedStage", stage);
        if let Some(reason) = failure_reason(&event.payload) {
            fields = fields.with_string("failureReason", &reason);
        }
    } else {
        fields = fields.with_string("status", "COMPLETED");
    }
    fields.with_string("closedAt", &event.timestamp)
}

#[cfg(test)]
mod tests {
    use contracts::EventType;
    use serde_json::{Value, json};

    use super::*;

    fn closed(event_type: EventType, payload: &Value) -> Value {
        let body = json!({
            "eventType": event_type.name(), "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "1970-01-01T00:00:00.000Z", "payload": payload,
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        serde_json::from_str(&closing_fields(&event).to_json()).unwrap()
    }

    #[test]
    fn the_time_an_order_takes_is_that_between_its_first_and_last_event() {
        let took = milliseconds_between("2026-02-06T12:00:00Z", "2026-02-06T13:00:01.250+01:00");
        assert_eq!(took, Some(1250));
        assert_eq!(milliseconds_between("yesterday", "2026-02-06T12:00:00Z"), None);
    }

    #[test]
    fn an_order_is_closed_with_its_end() {
        assert_eq!(
            closed(EventType::OrderCompleted, &json!({})),
            json!({ "status": "COMPLETED", "closedAt": "1970-01-01T00:00:00.000Z" })
        );
        let failed = json!({ "failureReason": "OUT_OF_STOCK: A wanted 2, available 1" });
        assert_eq!(
            closed(EventType::OrderInventoryFailed, &failed),
            json!({
                "status": "FAILED",
                "failedStage": "inventory",
                "failureReason": "OUT_OF_STOCK: A wanted 2, available 1",
                "closedAt": "1970-01-01T00:00:00.000Z",
            })
        );
    }
}
