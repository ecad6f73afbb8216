//! Can the customer be charged? By the provider that the settings name.

use contracts::{
    Envelope, EventType, FailureCode, FailureReason, Money, StageName,
    order::{customer_id, total_amount},
};
use stage::{Accept, Decision, Effect, Publishes, Retry, Stage};

use crate::{
    stripe::{Payment, Stripe},
    wallet::Wallet,
};

/// Charges the customer of an order.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) provider: Provider,
}

/// Who takes the money.
#[derive(Debug)]
pub(crate) enum Provider {
    /// Our own table, together with the stage's row.
    Wallet(Wallet),
    /// Stripe, before the row is put.
    Stripe(Box<Stripe>),
}

impl Stage for Charge {
    const NAME: StageName = StageName::Payment;
    const CONSUMES: &'static [EventType] = &[EventType::InventoryReserved];
    const PUBLISHES: Publishes = Publishes::Either {
        accepted: EventType::PaymentCompleted,
        rejected: EventType::OrderPaymentFailed,
    };

    async fn decide(&self, event: &Envelope) -> Result<Decision, Retry> {
        let (customer_id, amount) = match charge(event) {
            Ok(charge) => charge,
            Err(reason) => return Ok(Decision::Reject(reason)),
        };
        match &self.provider {
            Provider::Wallet(wallet) => {
                // Made from the order, so that it is the same whenever it is made.
                let payment_id = format!("pay-{}", event.order_id);
                Ok(paid(payment_id, vec![wallet.charge(customer_id, amount)?]))
            }
            Provider::Stripe(stripe) => {
                Ok(match stripe.charge(event, customer_id, amount).await? {
                    Payment::Paid(payment_id) => paid(payment_id, Vec::new()),
                    Payment::Declined(why) => Decision::Reject(declined(why)),
                })
            }
        }
    }
}

fn paid(payment_id: String, effects: Vec<Effect>) -> Decision {
    let fields = [("paymentId".to_owned(), payment_id.into())];
    Decision::Accept(Accept { fields: fields.into_iter().collect(), effects })
}

fn declined(why: String) -> FailureReason {
    FailureReason::new(FailureCode::PaymentDeclined, why)
}

/// Whom to charge, and how much. An amount that is not above zero would add to the balance.
fn charge(event: &Envelope) -> Result<(&str, Money), FailureReason> {
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
    use contracts::OrderId;
    use serde_json::{Value, json};

    use super::*;

    async fn decide(payload: &Value) -> Decision {
        let envelope = Envelope::new(
            EventType::InventoryReserved,
            OrderId::parse("ord-1").unwrap(),
            "corr-1".to_owned(),
            jiff::Timestamp::UNIX_EPOCH,
            payload.as_object().unwrap().clone(),
        );
        let wallet = Wallet { accounts_table: "Accounts".to_owned() };
        Charge { provider: Provider::Wallet(wallet) }.decide(&envelope).await.unwrap()
    }

    #[tokio::test]
    async fn a_charge_is_one_effect_and_names_its_payment() {
        let Decision::Accept(accept) =
            decide(&json!({ "customerId": "cust-1", "totalAmount": 99.98 })).await
        else {
            panic!("the order is accepted");
        };
        assert_eq!(accept.effects.len(), 1);
        assert_eq!(accept.fields["paymentId"], "pay-ord-1");
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
