//! Closes an order, once: with whichever end is told first.

use contracts::{Envelope, EventType, JsonObject, StageName};
use jiff::Timestamp;
use stage::{Accept, Content, Decision, Publishes, Retry, Row, Stage, Store};

/// Keeps how an order ended.
#[derive(Debug)]
pub(crate) struct Close {
    /// Where the order's first row says when it was taken in.
    pub(crate) orders: Store,
}

impl Stage for Close {
    const NAME: StageName = StageName::Close;
    const CONSUMES: &'static [EventType] = &[
        EventType::OrderCompleted,
        EventType::OrderValidationFailed,
        EventType::OrderInventoryFailed,
        EventType::OrderPaymentFailed,
        EventType::OrderNotificationFailed,
    ];
    const PUBLISHES: Publishes = Publishes::Nothing;

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let mut fields = end(event);
        if let Some(took_ms) = self.took_ms(event).await? {
            fields.insert("tookMs".to_owned(), took_ms.into());
        }
        Ok(Decision::Accept(Accept { fields, effects: Vec::new() }))
    }

    /// One line for one order: what the business counts, and nothing about the customer.
    fn stored(&self, event: &Envelope, row: &Row) {
        let Content::Result(end) = &row.content else { return };
        let text = |name| end.get(name).and_then(serde_json::Value::as_str);
        let code = text("failureReason").and_then(|reason| Some(reason.split_once(':')?.0));
        let amount = event.payload.get("totalAmount").and_then(serde_json::Value::as_f64);
        tracing::info!(
            orderId = event.order_id.as_str(),
            correlationId = event.correlation_id,
            status = text("status"),
            failedStage = text("failedStage"),
            code,
            totalAmount = amount,
            tookMs = end.get("tookMs").and_then(serde_json::Value::as_i64),
            "closed"
        );
    }
}

impl Close {
    /// The time from the order's first event to its last; `None` where its first row is not there.
    async fn took_ms(&self, last: &Envelope) -> Result<Option<i64>, Retry> {
        let row = self.orders.row(last.order_id.as_str(), StageName::OrderApi).await?;
        let Some(Row { content: Content::Event(first), .. }) = row else { return Ok(None) };
        Ok(milliseconds_between(&first.timestamp, &last.timestamp))
    }
}

fn milliseconds_between(first: &str, last: &str) -> Option<i64> {
    let (first, last): (Timestamp, Timestamp) = (first.parse().ok()?, last.parse().ok()?);
    i64::try_from(last.duration_since(first).as_millis()).ok()
}

/// How the order ended.
fn end(event: &Envelope) -> JsonObject {
    let mut fields = JsonObject::new();
    if event.event_type.is_failure() {
        fields.insert("status".to_owned(), "FAILED".into());
        fields.insert("failedStage".to_owned(), event.event_type.published_by().name().into());
        if let Some(reason) = event.payload.get("failureReason") {
            fields.insert("failureReason".to_owned(), reason.clone());
        }
    } else {
        fields.insert("status".to_owned(), "COMPLETED".into());
    }
    fields.insert("closedAt".to_owned(), event.timestamp.clone().into());
    fields
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;
    use serde_json::{Value, json};

    use super::*;

    fn ended(event_type: EventType, payload: &Value) -> Value {
        let envelope = Envelope::new(
            event_type,
            OrderId::parse("ord-1").unwrap(),
            "corr-1".to_owned(),
            Timestamp::UNIX_EPOCH,
            payload.as_object().unwrap().clone(),
        );
        end(&envelope).into()
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
            ended(EventType::OrderCompleted, &json!({})),
            json!({ "status": "COMPLETED", "closedAt": "1970-01-01T00:00:00.000Z" })
        );
        let failed = json!({ "failureReason": "OUT_OF_STOCK: A wanted 2, available 1" });
        assert_eq!(
            ended(EventType::OrderInventoryFailed, &failed),
            json!({
                "status": "FAILED",
                "failedStage": "inventory",
                "failureReason": "OUT_OF_STOCK: A wanted 2, available 1",
                "closedAt": "1970-01-01T00:00:00.000Z",
            })
        );
    }
}
