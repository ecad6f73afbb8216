//! Closes an order, once: with whichever end is told first.

use contracts::{Envelope, EventType, JsonObject, StageName};
use stage::{Accept, Decision, Publishes, Retry, Stage};

/// Keeps how an order ended.
#[derive(Debug)]
pub(crate) struct Close;

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
        Ok(Decision::Accept(Accept { fields, effects: Vec::new() }))
    }
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;
    use serde_json::{Value, json};

    use super::*;

    async fn close(event_type: EventType, payload: &Value) -> Value {
        let envelope = Envelope::new(
            event_type,
            OrderId::parse("ord-1").unwrap(),
            "corr-1".to_owned(),
            jiff::Timestamp::UNIX_EPOCH,
            payload.as_object().unwrap().clone(),
        );
        match Close.decide(&envelope).await.unwrap() {
            Decision::Accept(accept) => accept.fields.into(),
            Decision::Reject(reason) => panic!("closing cannot be refused: {reason}"),
        }
    }

    #[tokio::test]
    async fn an_order_is_closed_with_its_end() {
        assert_eq!(
            close(EventType::OrderCompleted, &json!({})).await,
            json!({ "status": "COMPLETED", "closedAt": "1970-01-01T00:00:00.000Z" })
        );
        let failed = json!({ "failureReason": "OUT_OF_STOCK: A wanted 2, available 1" });
        assert_eq!(
            close(EventType::OrderInventoryFailed, &failed).await,
            json!({
                "status": "FAILED",
                "failedStage": "inventory",
                "failureReason": "OUT_OF_STOCK: A wanted 2, available 1",
                "closedAt": "1970-01-01T00:00:00.000Z",
            })
        );
    }
}
