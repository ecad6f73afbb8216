//! Pays with Stripe: one card payment for each order, made before the stage's row is inserted.
//!
//! Stripe charges outside the row's transaction, so a lost response must not become a second
//! charge. The order id is the idempotency key. If Stripe may have forgotten it, or a response is
//! missing, the order's payment is looked up before a new one is requested.

mod attempts;
mod client;
mod currency;
mod error;
mod prevention;
mod refund;
mod response;
mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use contracts::{Envelope, Money, OrderId, object::string, parse_rfc3339};
use engine::{Clock, error::Error};
use jiff::{SignedDuration, Timestamp};

use self::{
    attempts::Attempts,
    client::{Charge, Client},
    currency::Currency,
    error::{RequestError, StripeError},
};
pub(crate) use settings::StripeSettings;

/// The timeout of a request to Stripe.
pub use self::client::REQUEST_TIMEOUT;

/// Stripe keeps an idempotency key for at least 24 hours; one hour less allows for clock skew.
const KEY_LIFE: SignedDuration = SignedDuration::from_hours(23);

/// The allowed clock skew: an order's payment is created after the event of the order.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Stripe's longest idempotency key, and its longest value of metadata.
const MAX_KEY: usize = 255;
const MAX_METADATA: usize = 500;

/// The time after which Stripe lists every earlier charge: longer than an invocation and a request
/// to Stripe.
const LISTED_AFTER: SignedDuration = SignedDuration::from_mins(3);

/// Charges cards through Stripe.
#[derive(Debug)]
pub struct Stripe {
    client: Client,
    currency: Currency,
    clock: Clock,
    attempts: Attempts,
}

/// The outcome of a charge.
#[derive(Debug)]
pub(crate) enum ChargeOutcome {
    /// Paid, by the payment of this id.
    Paid(String),
    /// Not paid and never will be, for this reason.
    Declined(String),
}

impl Stripe {
    /// Charges the amount to the customer's card, once.
    pub(crate) async fn charge(
        &self,
        event: &Envelope<'_>,
        customer: &str,
        amount: Money,
    ) -> Result<ChargeOutcome, Error> {
        let (units, method) = match self.check_order(event, customer, amount) {
            Ok(parts) => parts,
            Err(why) => return Ok(ChargeOutcome::Declined(why)),
        };
        let result = self.charge_once(event, customer, units, method).await;
        self.concluded(&event.order_id, result).map_err(|error| error.of("charge at Stripe"))
    }

    /// The amount in the currency's smallest unit, and the payment method that the order names.
    /// The error is the reason to decline the order without a request to Stripe.
    fn check_order<'a>(
        &self,
        event: &'a Envelope<'_>,
        customer: &str,
        amount: Money,
    ) -> Result<(u64, Option<Cow<'a, str>>), String> {
        check_ids(customer, &event.order_id)?;
        Ok((self.currency.units(amount)?, named_method(event)?))
    }

    /// Notes what is known of an order after an attempt, and gives up one that holds up others.
    fn concluded<T>(
        &self,
        order_id: &OrderId,
        result: Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        match result {
            Ok(outcome) => {
                self.attempts.answered(order_id);
                Ok(outcome)
            }
            Err(RequestError::NotDone(error)) if error.is_for_all() => {
                self.attempts.all_wait(order_id);
                Err(RequestError::NotDone(error))
            }
            Err(RequestError::NotDone(error) | RequestError::Unknown(error))
                if self.attempts.is_stuck(order_id, (self.clock)()) =>
            {
                Err(RequestError::Final(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn charge_once(
        &self,
        event: &Envelope<'_>,
        customer: &str,
        units: u64,
        method: Option<Cow<'_, str>>,
    ) -> Result<ChargeOutcome, RequestError> {
        if let Some(charged) = self.find_existing_charge(event, customer).await? {
            return Ok(charged);
        }
        let method = match method {
            Some(named) => named,
            None => match self.default_method(customer).await? {
                Ok(method) => method.into(),
                Err(declined) => return self.decline(event, customer, declined).await,
            },
        };
        let charge = Charge {
            customer,
            payment_method: &method,
            units,
            currency: self.currency.code(),
            order_id: event.order_id.as_str(),
            correlation_id: truncate_metadata(&event.correlation_id),
        };
        // Inserted before the request, because the engine may cancel it in the middle.
        let was_unanswered = self.attempts.begin(&event.order_id, (self.clock)());
        let result = self.client.charge(&charge).await;
        match &result {
            Ok(Ok(payment)) if payment.is_paid() => self.attempts.charged((self.clock)()),
            Err(RequestError::NotDone(_)) if !was_unanswered => {
                self.attempts.not_done(&event.order_id);
            }
            Ok(_) | Err(_) => {}
        }
        match result {
            Ok(Ok(payment)) => response::of_payment(payment),
            Ok(Err(charged)) => Ok(charged),
            // The list has a charge that went through: this try has looked there.
            Err(RequestError::Unknown(error))
                if error.lasts_with_the_key()
                    && was_unanswered
                    && self.is_listed_by_now(&event.timestamp) =>
            {
                Err(RequestError::Final(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Declines an order that has nothing to be charged, unless an earlier attempt has charged it.
    async fn decline(
        &self,
        event: &Envelope<'_>,
        customer: &str,
        declined: ChargeOutcome,
    ) -> Result<ChargeOutcome, RequestError> {
        let is_listed =
            || self.attempts.prevented_for(&event.order_id, (self.clock)()) > LISTED_AFTER;
        let charged = self.prevent_charge(event, customer, is_listed).await?;
        charged.map_or(Ok(declined), response::of_payment)
    }

    /// The outcome of an earlier charge of the order that the idempotency key alone may not find.
    async fn find_existing_charge(
        &self,
        event: &Envelope<'_>,
        customer: &str,
    ) -> Result<Option<ChargeOutcome>, RequestError> {
        let (order_id, is_key_known) = (&event.order_id, self.is_key_known(event));
        let is_unanswered = self.attempts.is_unanswered(order_id);
        if is_key_known && !is_unanswered {
            return Ok(None);
        }
        match self.client.find(customer, order_id.as_str(), charged_since(event)).await? {
            Ok(Some(payment)) if payment.is_final() => response::of_payment(payment).map(Some),
            // Still pending: the same key joins it. If Stripe may have forgotten the key, wait for
            // its end.
            Ok(Some(payment)) if !is_key_known => Err(response::pending(payment)),
            Ok(Some(_) | None) => Ok(None),
            // The customer is gone, and a charge of theirs may have been made.
            Err(_) if is_unanswered => Err(RequestError::Final(Box::new(StripeError::NotListed))),
            Err(declined) => Ok(Some(declined)),
        }
    }

    /// Stripe still keeps the idempotency key of every charge of the order.
    fn is_key_known(&self, event: &Envelope<'_>) -> bool {
        let made = parse_rfc3339(&event.timestamp);
        made.is_some_and(|made| (self.clock)().duration_since(made) < KEY_LIFE)
    }

    /// Stripe's list has every charge from before this time.
    fn is_listed_by_now(&self, time: &str) -> bool {
        let time = parse_rfc3339(time);
        time.is_none_or(|at| (self.clock)().duration_since(at) > LISTED_AFTER)
    }

    /// The payment method of a customer whose order names none.
    async fn default_method(&self, customer: &str) -> client::StripeResult<String> {
        Ok(self.client.payment_method(customer).await?.and_then(|method| {
            method.ok_or_else(|| {
                ChargeOutcome::Declined(
                    "no_payment_method: the customer has no default payment method at Stripe; \
                     set one, or name one in paymentMethodId"
                        .to_owned(),
                )
            })
        }))
    }
}

/// The payment method that the order names.
fn named_method<'a>(event: &'a Envelope<'_>) -> Result<Option<Cow<'a, str>>, String> {
    let Some(named) = event.payload.get("paymentMethodId") else { return Ok(None) };
    match string(named).filter(|named| !named.is_empty()) {
        Some(named) => Ok(Some(named)),
        None => Err("paymentMethodId must be the id of a payment method".to_owned()),
    }
}

/// The earliest time of a charge of the order, in seconds of Unix time.
fn charged_since(event: &Envelope<'_>) -> i64 {
    let made = parse_rfc3339(&event.timestamp).unwrap_or(Timestamp::UNIX_EPOCH).as_second();
    made.saturating_sub(CLOCK_SKEW.as_secs()).max(0)
}

/// Both ids become part of a request unescaped.
fn check_ids(customer: &str, order_id: &OrderId) -> Result<(), String> {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !customer.bytes().all(is_id) {
        return Err("customerId is not a customer of the Stripe account".to_owned());
    }
    let order_id = order_id.as_str();
    if order_id.len() > MAX_KEY || !order_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("orderId must be at most {MAX_KEY} ASCII letters, digits and signs"));
    }
    Ok(())
}

fn truncate_metadata(text: &str) -> &str {
    text.char_indices().nth(MAX_METADATA).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
