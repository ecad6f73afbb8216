//! Notifies the customer through the channel of the settings, at least once.

use contracts::{Envelope, FailureCode, FailureReason, StageName, order::customer_id};
use engine::{Decision, Needed, Stage, error::Error};

use crate::sns::{Delivery, Sns};

/// Notifies the customer that the order is paid.
#[derive(Debug)]
pub struct Notify {
    /// The notification channel.
    pub channel: Channel,
}

/// A notification channel.
#[derive(Debug)]
pub enum Channel {
    /// A line in the log, for development.
    Log,
    /// A message on an SNS topic.
    Sns(Sns),
}

impl Stage for Notify {
    const NAME: StageName = StageName::Notification;
    const ACTS_ON_STORED_EVENT: bool = true;

    fn acts_outside(&self) -> bool {
        matches!(self.channel, Channel::Sns(_))
    }

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        let customer_id = match customer_id(&event.payload) {
            Ok(customer_id) => customer_id,
            Err(why) => return Ok(rejected(why)),
        };
        match &self.channel {
            Channel::Log => {
                let order_id = event.order_id.as_str();
                tracing::info!(orderId = order_id, "the order is paid and complete");
                Ok(Decision::accept())
            }
            Channel::Sns(sns) => Ok(match sns.publish(event, &customer_id).await? {
                Delivery::Sent => Decision::accept(),
                Delivery::Rejected(why) => rejected(why),
            }),
        }
    }
}

fn rejected(why: String) -> Decision {
    Decision::Reject(FailureReason::new(FailureCode::NotificationFailed, why))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn decide(payload: &Value) -> Decision {
        let body = json!({
            "eventType": "PaymentCompleted", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": payload,
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        Notify { channel: Channel::Log }.decide(&event, &Needed::default()).await.unwrap()
    }

    #[tokio::test]
    async fn an_order_of_nobody_cannot_be_notified() {
        assert!(matches!(
            decide(&json!({ "customerId": "cust-1" })).await,
            Decision::Accept { .. }
        ));
        let Decision::Reject(reason) = decide(&json!({})).await else {
            panic!("the order is rejected");
        };
        assert_eq!(reason.to_string(), "NOTIFICATION_FAILED: missing customerId");
    }
}
