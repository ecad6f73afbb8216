//! Charges the customer through the provider of the settings.

use std::borrow::Cow;

use contracts::{
    Envelope, FailureCode, FailureReason, Fields, Money, StageName,
    order::{customer_id, total_amount},
};
use engine::{Decision, Effect, Needed, Row, Stage, error::Error};

use crate::{
    stripe::{ChargeOutcome, Stripe},
    wallet::Wallet,
};

/// Charges the customer of an order.
#[derive(Debug)]
pub struct Charge {
    /// The payment provider.
    pub provider: Provider,
}

/// A payment provider.
#[derive(Debug)]
pub enum Provider {
    /// Our own table, in the transaction of the stage's row.
    Wallet(Wallet),
    /// Stripe, before the row is inserted.
    Stripe(Box<Stripe>),
}

impl Stage for Charge {
    const NAME: StageName = StageName::Payment;
    const ACTS_ON_STORED_EVENT: bool = true;

    fn acts_outside(&self) -> bool {
        matches!(self.provider, Provider::Stripe(_))
    }

    /// Refunds an order that was cancelled; the wallet's charge is part of the row.
    async fn undo(&self, event: &Envelope<'_>, row: &Row) -> Result<(), Error> {
        let (Provider::Stripe(stripe), Some(rejection)) = (&self.provider, row.event()) else {
            return Ok(());
        };
        // An order whose customer or amount cannot be charged was never charged.
        let Ok((customer_id, _)) = charge(event) else { return Ok(()) };
        stripe.undo(event, &customer_id, &rejection.timestamp).await
    }

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        let (customer_id, amount) = match charge(event) {
            Ok(charge) => charge,
            Err(reason) => return Ok(Decision::Reject(reason)),
        };
        match &self.provider {
            Provider::Wallet(wallet) => {
                // Derived from the order, so that it is the same on every delivery.
                let payment_id = format!("pay-{}", event.order_id);
                Ok(paid(&payment_id, vec![wallet.charge(&customer_id, amount)]))
            }
            Provider::Stripe(stripe) => {
                Ok(match stripe.charge(event, &customer_id, amount).await? {
                    ChargeOutcome::Paid(payment_id) => paid(&payment_id, Vec::new()),
                    ChargeOutcome::Declined(why) => Decision::Reject(declined(why)),
                })
            }
        }
    }
}

fn paid(payment_id: &str, effects: Vec<Effect>) -> Decision {
    Decision::Accept { fields: Fields::default().with_string("paymentId", payment_id), effects }
}

fn declined(why: String) -> FailureReason {
    FailureReason::new(FailureCode::PaymentDeclined, why)
}

/// The customer and the amount. An amount that is not above zero would add to the balance.
fn charge<'a>(event: &Envelope<'a>) -> Result<(Cow<'a, str>, Money), FailureReason> {
    let customer_id = customer_id(&event.payload).map_err(declined)?;
    let amount = total_amount(&event.payload).map_err(declined)?;
    if amount.is_above_zero() {
        Ok((customer_id, amount))
    } else {
        Err(declined("totalAmount must be above zero".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn decide(payload: &Value) -> Decision {
        let body = json!({
            "eventType": "InventoryReserved", "orderId": "ord-1", "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": payload,
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        let wallet = Wallet { accounts_table: "Accounts".to_owned() };
        Charge { provider: Provider::Wallet(wallet) }
            .decide(&event, &Needed::default())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_charge_is_one_effect_and_names_its_payment() {
        let Decision::Accept { fields, effects } =
            decide(&json!({ "customerId": "cust-1", "totalAmount": 99.98 })).await
        else {
            panic!("the order is accepted");
        };
        assert_eq!(effects.len(), 1);
        assert_eq!(fields.get("paymentId"), Some(r#""pay-ord-1""#));
    }

    #[tokio::test]
    async fn an_amount_that_is_not_above_zero_is_never_charged() {
        for total in [json!(0), json!(-5)] {
            let order = json!({ "customerId": "cust-1", "totalAmount": total });
            let Decision::Reject(reason) = decide(&order).await else {
                panic!("the order is rejected");
            };
            assert_eq!(reason.to_string(), "PAYMENT_DECLINED: totalAmount must be above zero");
        }
    }
}
