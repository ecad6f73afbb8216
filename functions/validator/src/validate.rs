//! Is the order well formed? All that is wrong is said at once.

use contracts::{
    Envelope, EventType, FailureCode, FailureReason, StageName,
    order::{customer_id, items, quantity_by_sku, total_amount},
};
use stage::{Decision, Publishes, Retry, Stage};

/// The most different SKUs of one order: a DynamoDB transaction takes 100 actions, and the stage's
/// row is one of them.
const MAX_SKUS: usize = 98;

/// Accepts an order that is well formed.
#[derive(Debug)]
pub(crate) struct Validate {
    /// The decimals of the smallest coin.
    pub(crate) currency_decimals: u32,
}

impl Stage for Validate {
    const NAME: StageName = StageName::Validator;
    const CONSUMES: &'static [EventType] = &[EventType::OrderCreated];
    const PUBLISHES: Publishes = Publishes::Either {
        accepted: EventType::OrderValidated,
        rejected: EventType::OrderValidationFailed,
    };

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let faults = self.faults(event);
        Ok(if faults.is_empty() {
            Decision::accept()
        } else {
            Decision::Reject(FailureReason::new(FailureCode::ValidationFailed, faults.join("; ")))
        })
    }
}

impl Validate {
    fn faults(&self, event: &Envelope) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(customer_id(&event.payload).err());
        match items(&event.payload) {
            Err(wrong) => faults.extend(wrong),
            Ok(items) if quantity_by_sku(&items).len() > MAX_SKUS => {
                faults.push(format!("items must name at most {MAX_SKUS} different SKUs"));
            }
            Ok(_) => {}
        }
        match total_amount(&event.payload) {
            Err(wrong) => faults.push(wrong),
            Ok(amount) if !amount.is_above_zero() => {
                faults.push("totalAmount must be above zero".to_owned());
            }
            Ok(amount) if amount.decimals() > self.currency_decimals => faults
                .push(format!("totalAmount must have at most {} decimals", self.currency_decimals)),
            Ok(_) => {}
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;
    use serde_json::{Value, json};

    use super::*;

    /// What the validator says; nothing where it accepts.
    async fn verdict(payload: &Value) -> String {
        let envelope = Envelope::new(
            EventType::OrderCreated,
            OrderId::parse("ord-1").unwrap(),
            "corr-1".to_owned(),
            jiff::Timestamp::UNIX_EPOCH,
            payload.as_object().unwrap().clone(),
        );
        match (Validate { currency_decimals: 2 }).decide(&envelope).await.unwrap() {
            Decision::Accept(accept) => {
                assert!(accept.fields.is_empty() && accept.effects.is_empty());
                String::new()
            }
            Decision::Reject(reason) => reason.to_string(),
        }
    }

    fn lines(count: usize) -> Value {
        (0..count).map(|number| json!({ "sku": format!("SKU-{number}"), "quantity": 1 })).collect()
    }

    #[tokio::test]
    async fn a_well_formed_order_is_accepted() {
        let order = json!({
            "customerId": "cust-1", "items": lines(98), "totalAmount": 99.980, "gift": true,
        });
        assert_eq!(verdict(&order).await, "");
    }

    #[tokio::test]
    async fn everything_that_is_wrong_is_said_at_once() {
        let order = json!({
            "items": [{ "sku": "A", "quantity": 1 }, { "sku": "B", "quantity": 0 }],
            "totalAmount": 1.005,
        });
        assert_eq!(
            verdict(&order).await,
            "VALIDATION_FAILED: missing customerId; \
             items[1].quantity must be a whole number from 1 to 1000000000; \
             totalAmount must have at most 2 decimals"
        );
    }

    #[tokio::test]
    async fn an_order_that_one_transaction_cannot_hold_is_rejected() {
        let order = json!({ "customerId": "cust-1", "items": lines(99), "totalAmount": 1 });
        assert_eq!(
            verdict(&order).await,
            "VALIDATION_FAILED: items must name at most 98 different SKUs"
        );
    }

    #[tokio::test]
    async fn the_total_must_be_above_zero() {
        for total in [json!(0), json!(-1), json!(0.00)] {
            let order = json!({ "customerId": "cust-1", "items": lines(1), "totalAmount": total });
            assert_eq!(verdict(&order).await, "VALIDATION_FAILED: totalAmount must be above zero");
        }
    }
}
