//! Can the customer be told? Here the log is told; it may be told more than once.

use contracts::{Envelope, EventType, FailureCode, FailureReason, StageName, order::customer_id};
use stage::{Decision, Publishes, Retry, Stage};

/// Tells the customer that the order is paid.
#[derive(Debug)]
pub(crate) struct Notify;

impl Stage for Notify {
    const NAME: StageName = StageName::Notification;
    const CONSUMES: &'static [EventType] = &[EventType::PaymentCompleted];
    const PUBLISHES: Publishes = Publishes::Either {
        accepted: EventType::OrderCompleted,
        rejected: EventType::OrderNotificationFailed,
    };

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        if let Err(why) = customer_id(&event.payload) {
            let reason = FailureReason::new(FailureCode::NotificationFailed, why);
            return Ok(Decision::Reject(reason));
        }
        tracing::info!(orderId = event.order_id.as_str(), "the order is paid and complete");
        Ok(Decision::accept())
    }
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;
    use serde_json::{Value, json};

    use super::*;

    async fn decide(payload: &Value) -> Decision {
        let envelope = Envelope::new(
            EventType::PaymentCompleted,
            OrderId::parse("ord-1").unwrap(),
            "corr-1".to_owned(),
            jiff::Timestamp::UNIX_EPOCH,
            payload.as_object().unwrap().clone(),
        );
        Notify.decide(&envelope).await.unwrap()
    }

    #[tokio::test]
    async fn an_order_of_nobody_cannot_be_notified() {
        assert!(matches!(decide(&json!({ "customerId": "cust-1" })).await, Decision::Accept(_)));
        let Decision::Reject(reason) = decide(&json!({})).await else {
            panic!("the order is rejected");
        };
        assert_eq!(reason.to_string(), "NOTIFICATION_FAILED: missing customerId");
    }
}
