//! Prevents any further charge of an order.
//!
//! A charge may still be in flight after its process was killed. So a request that changes nothing
//! uses up the order's idempotency key first. After it, either no charge was made and none can be
//! made, or one was made and is looked up.

use contracts::Envelope;

use super::{
    Stripe, charged_since,
    client::KeyUse,
    error::{RequestError, StripeError},
    response::{self, PaymentIntent},
};

impl Stripe {
    /// Prevents any further charge of an order; returns the payment of an earlier one, once it has
    /// ended.
    ///
    /// `is_listed`: by now Stripe lists every charge that was sent before the key was used up.
    pub(super) async fn prevent_charge(
        &self,
        event: &Envelope<'_>,
        customer: &str,
        is_listed: impl Fn() -> bool + Send,
    ) -> Result<Option<PaymentIntent>, RequestError> {
        let order_id = event.order_id.as_str();
        let key_use = self.client.use_up_key(customer, order_id).await?;
        if key_use == KeyUse::First && self.is_key_known(event) {
            return Ok(None);
        }
        let may_be_charged = match key_use {
            KeyUse::Again => true,
            KeyUse::Unknown => self.attempts.is_unanswered(&event.order_id),
            KeyUse::First => false,
        };
        match self.client.find(customer, order_id, charged_since(event)).await? {
            Ok(Some(payment)) if payment.is_final() => Ok(Some(payment)),
            Ok(Some(payment)) => Err(response::pending(payment)),
            Ok(None) if may_be_charged && !is_listed() => {
                Err(RequestError::Unknown(Box::new(StripeError::NotListed)))
            }
            // The customer is gone, and a charge of theirs may have been made.
            Err(_) if may_be_charged => Err(RequestError::Final(Box::new(StripeError::NotListed))),
            Ok(None) | Err(_) => Ok(None),
        }
    }
}
