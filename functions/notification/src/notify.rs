//! Can the customer be told? Through the channel that the settings name; it may happen more than
//! once.

use contracts::{Envelope, EventType, FailureCode, FailureReason, StageName, order::customer_id};
use stage::{Decision, Publishes, Retry, Stage};

use crate::sns::{Sns, Told};

/// Tells the customer that the order is paid.
#[derive(Debug)]
pub(crate) struct Notify {
    pub(crate) channel: Channel,
}

/// How the customer is told.
#[derive(Debug)]
pub(crate) enum Channel {
    /// A line in the log, in place of somebody who would tell the customer.
    Log,
    /// A message on a topic, for those who subscribe to it.
    Sns(Sns),
}

impl Stage for Notify {
    const NAME: StageName = StageName::Notification;
    const CONSUMES: &'static [EventType] = &[EventType::PaymentCompleted];
    const PUBLISHES: Publishes = Publishes::Either {
        accepted: EventType::OrderCompleted,
        rejected: EventType::OrderNotificationFailed,
    };

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let customer_id = match customer_id(&event.payload) {
            Ok(customer_id) => customer_id,
            Err(why) => return Ok(not_told(why)),
        };
        match &self.channel {
            Channel::Log => {
                let order_id = event.order_id.as_str();
                tracing::info!(orderId = order_id, "the order is paid and complete");
                Ok(Decision::accept())
            }
            Channel::Sns(sns) => Ok(match sns.publish(event, customer_id).await? {
                Told::Published => Decision::accept(),
                Told::Refused(why) => not_told(why),
            }),
        }
    }
}

fn not_told(why: String) -> Decision {
    Decision::Reject(FailureReason::new(FailureCode::NotificationFailed, why))
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
        Notify { channel: Channel::Log }.decide(&envelope).await.unwrap()
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
