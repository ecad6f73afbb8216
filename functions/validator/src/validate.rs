//! Validates an order and reports every error at once.

use contracts::{
    Envelope, Errors, FailureCode, FailureReason, StageName,
    order::{MAX_SKUS, customer_id, items, quantity_by_sku, total_amount},
};
use engine::{Decision, Needed, Stage, error::Error};

/// Accepts an order that is well formed.
#[derive(Debug)]
pub struct Validate {
    /// The decimals of the currency.
    pub currency_decimals: u32,
}

impl Stage for Validate {
    const NAME: StageName = StageName::Validator;

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        let errors = self.errors(event);
        Ok(if errors.is_empty() {
            Decision::accept()
        } else {
            Decision::Reject(FailureReason::new(FailureCode::ValidationFailed, errors.to_string()))
        })
    }
}

impl Validate {
    fn errors(&self, event: &Envelope<'_>) -> Errors {
        let mut errors = Errors::default();
        customer_id(&event.payload).err().into_iter().for_each(|error| errors.push(error));
        match items(&event.payload) {
            Err(wrong) => errors.extend(wrong),
            Ok(items) if quantity_by_sku(&items).len() > MAX_SKUS => {
                errors.push(format!("items must name at most {MAX_SKUS} different SKUs"));
            }
            Ok(_) => {}
        }
        match total_amount(&event.payload) {
            Err(wrong) => errors.push(wrong),
            Ok(amount) if !amount.is_above_zero() => {
                errors.push("totalAmount must be above zero".to_owned());
            }
            Ok(amount) if amount.decimals() > self.currency_decimals => errors
                .push(format!("totalAmount must have at most {} decimals", self.currency_decimals)),
            Ok(_) => {}
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The reason of the rejection; empty if the order is accepted.
    async fn verdict(payload: &Value) -> String {
        let body = json!({
            "eventType": "OrderCreated", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": payload,
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        let validate = Validate { currency_decimals: 2 };
        match validate.decide(&event, &Needed::default()).await.unwrap() {
            Decision::Accept { fields, effects } => {
                assert!(fields.is_empty() && effects.is_empty());
                String::new()
            }
            Decision::Reject(reason) => reason.to_string(),
            Decision::Nothing => "nothing".to_owned(),
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
    async fn every_error_is_reported_at_once() {
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
