//! What does an answer of Stripe mean for the order: paid, declined, or to be tried again?
//!
//! An order is declined only for what is wrong with its customer, its payment method or its amount.
//! A wrong key or setting, and trouble at Stripe, fail no order. `docs/providers.md` has the table.

use std::fmt;

use serde::Deserialize;

/// What came of asking Stripe to charge.
#[derive(Debug)]
pub(super) enum Charged {
    /// The money was taken, by the payment of this id.
    Paid(String),
    /// The money was not taken and will not be, for this reason.
    Declined(String),
}

/// Why it is not known yet what comes of a charge.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Stripe did nothing: the same request can be made again.
    NotDone(Box<Fault>),
    /// Stripe may have taken the money.
    MayBeDone(Box<Fault>),
}

/// What went wrong, with nothing of the key, the customer or the payment in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// No answer came, or not the whole of it.
    #[error("no answer of Stripe")]
    NoAnswer(#[source] reqwest::Error),
    /// The answer is none that Stripe documents; the text of the error may quote it.
    #[error("an answer of Stripe cannot be read (line {line}, column {column})")]
    Unreadable {
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
    /// Stripe said no for a reason that is not the order's.
    #[error("Stripe answered {0}")]
    Refused(Refused),
    /// The payment has not come to its end.
    #[error("the payment {id} is {status}")]
    Pending {
        /// The payment.
        id: String,
        /// Its state.
        status: String,
    },
    /// A charge was sent, and is not among the customer's payments.
    #[error("a charge was sent that Stripe does not list yet")]
    NotListed,
    /// A refund was not made.
    #[error("the payment could not be refunded: refund it in Stripe's dashboard")]
    NotRefunded,
}

impl Fault {
    /// Whether the idempotency key was used for a request unlike this one.
    pub(super) fn is_of_another_request(&self) -> bool {
        matches!(self, Self::Refused(Refused { status: 400, kind, .. }) if kind == "idempotency_error")
    }

    /// Whether the payment is refunded already.
    pub(super) fn is_refunded_already(&self) -> bool {
        matches!(self, Self::Refused(Refused { code, .. }) if code == "charge_already_refunded")
    }
}

/// An error of Stripe's, as it may stand in a log; its message could name the customer.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    request_id: String,
    kind: String,
    code: String,
    parameter: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, request_id, kind, code, parameter } = self;
        write!(formatter, "{status} {kind} code={code:?} parameter={parameter:?} to {request_id}")?;
        match status {
            401 => write!(formatter, "; check the API key"),
            403 => write!(formatter, "; the API key may not do this"),
            400 | 404 if code == RESOURCE_MISSING => write!(
                formatter,
                "; check that the API key is of the account and the mode that have the customers"
            ),
            _ => Ok(()),
        }
    }
}

/// A payment as Stripe shows it.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
    last_payment_error: Option<StripeError>,
}

/// What a payment carries of ours.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(rename = "orderId")]
    pub(super) order_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: StripeError,
}

#[derive(Debug, Default, Deserialize)]
struct StripeError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

impl StripeError {
    /// Whether an id may be unknown because of the key: one that has found nobody yet, or one of the
    /// other mode, which only the message tells.
    fn may_be_of_the_key(&self, is_key_proven: bool) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        let is_of_the_other_mode = message.contains("a similar object exists in");
        self.code.as_deref() == Some(RESOURCE_MISSING) && (!is_key_proven || is_of_the_other_mode)
    }
}

impl PaymentIntent {
    /// Whether nothing will change the payment any more without another request.
    pub(super) fn is_final(&self) -> bool {
        match self.status.as_str() {
            "succeeded" | "canceled" | "requires_action" => true,
            _ => self.last_payment_error.is_some(),
        }
    }
}

/// A payment that has not come to its end.
pub(super) fn pending(payment: PaymentIntent) -> Trouble {
    let PaymentIntent { id, status, .. } = payment;
    Trouble::MayBeDone(Box::new(Fault::Pending { id, status }))
}

/// What an answer without a fault means.
pub(super) fn of_payment(payment: PaymentIntent) -> Result<Charged, Trouble> {
    let PaymentIntent { id, status, last_payment_error, .. } = payment;
    match status.as_str() {
        "succeeded" => Ok(Charged::Paid(id)),
        "processing" => Err(Trouble::MayBeDone(Box::new(Fault::Pending { id, status }))),
        "requires_action" => Ok(Charged::Declined(
            "authentication_required: the customer has to confirm the payment in person".to_owned(),
        )),
        _ => Ok(Charged::Declined(match last_payment_error {
            Some(error) => decline(&error),
            None => format!("{status}: the payment was not completed; order again"),
        })),
    }
}

/// The code for an id that the key's account does not know, in the key's mode.
const RESOURCE_MISSING: &str = "resource_missing";

/// What an answer with an HTTP status of 400 or above means.
///
/// An id that is not known may be the order's fault or the key's: one of another account or of the
/// other mode knows nobody. `is_key_proven` tells that this key has found a customer of an order.
pub(super) fn of_error(
    status: u16,
    request_id: &str,
    body: &[u8],
    is_key_proven: bool,
) -> Result<Charged, Trouble> {
    let ErrorBody { error } = serde_json::from_slice(body).unwrap_or_default();
    let parameter = error.param.as_deref().unwrap_or_default();
    match status {
        402 => return Ok(Charged::Declined(decline(&error))),
        400 | 404
            if error.kind.as_deref() != Some("idempotency_error")
                && !error.may_be_of_the_key(is_key_proven) =>
        {
            if let Some(why) = fault_of_the_order(parameter, error.code.as_deref()) {
                return Ok(Charged::Declined(why));
            }
        }
        _ => {}
    }
    // A key that is in use (409), one that was used for a request unlike this one (400), and an
    // error of Stripe's own: the money may have been taken.
    let may_be_done =
        status == 409 || status >= 500 || error.kind.as_deref() == Some("idempotency_error");
    let fault = Box::new(Fault::Refused(Refused {
        status,
        request_id: request_id.to_owned(),
        parameter: parameter.to_owned(),
        kind: error.kind.unwrap_or_default(),
        code: error.code.unwrap_or_default(),
    }));
    Err(if may_be_done { Trouble::MayBeDone(fault) } else { Trouble::NotDone(fault) })
}

/// Reasons that only the customer's bank is to know; Stripe asks to show them as a plain decline.
const KEPT_TO_THE_BANK: [&str; 6] = [
    "fraudulent",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "stolen_card",
];

/// The provider's decline code, and Stripe's sentence, which it writes for the customer.
fn decline(error: &StripeError) -> String {
    let code = error.decline_code.as_deref().or(error.code.as_deref());
    let code = code.filter(|code| !KEPT_TO_THE_BANK.contains(code)).unwrap_or("generic_decline");
    let told = error.message.as_deref().filter(|_| code != "generic_decline");
    format!("{code}: {}", told.unwrap_or("The card was declined; pay with another one."))
}

/// What is wrong with the order where a parameter that is made from it was refused.
fn fault_of_the_order(parameter: &str, code: Option<&str>) -> Option<String> {
    let why = match parameter {
        "customer" | "id" => "customerId is no customer of the Stripe account",
        "payment_method" => "paymentMethodId is no payment method of the customer",
        "amount" => "totalAmount is not within the limits of the currency",
        _ => return None,
    };
    Some(code.map_or_else(|| why.to_owned(), |code| format!("{code}: {why}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What an answer means, in a word and its reason.
    fn meaning(status: u16, body: &Value) -> (&'static str, String) {
        meaning_for(status, body, true)
    }

    /// The same for a key that may be another account's.
    fn meaning_for(status: u16, body: &Value, is_key_proven: bool) -> (&'static str, String) {
        let body = body.to_string();
        let meant = if status < 400 {
            of_payment(serde_json::from_str(&body).unwrap())
        } else {
            of_error(status, "req_1", body.as_bytes(), is_key_proven)
        };
        match meant {
            Ok(Charged::Paid(id)) => ("paid", id),
            Ok(Charged::Declined(why)) => ("declined", why),
            Err(Trouble::NotDone(fault)) => ("not done", fault.to_string()),
            Err(Trouble::MayBeDone(fault)) => ("may be done", fault.to_string()),
        }
    }

    fn error(kind: &str, code: &str, parameter: &str) -> Value {
        json!({ "error": { "type": kind, "code": code, "param": parameter, "message": "words" } })
    }

    #[test]
    fn a_decline_rejects_with_the_providers_code() {
        let declined = json!({ "error": {
            "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card has insufficient funds.",
            "payment_intent": { "id": "pi_1", "status": "requires_payment_method" },
        }});
        let (meant, why) = meaning(402, &declined);
        assert_eq!(meant, "declined");
        assert_eq!(why, "insufficient_funds: Your card has insufficient funds.");
        let expired = json!({ "error": {
            "type": "card_error", "code": "expired_card", "message": "Your card has expired.",
        }});
        assert_eq!(meaning(402, &expired).1, "expired_card: Your card has expired.");
        for secret in KEPT_TO_THE_BANK {
            let declined = json!({ "error": {
                "type": "card_error", "code": "card_declined", "decline_code": secret,
                "message": "a word about it",
            }});
            let why = "generic_decline: The card was declined; pay with another one.";
            assert_eq!(meaning(402, &declined).1, why, "{secret}");
        }
    }

    #[test]
    fn a_payment_is_paid_declined_or_pending_by_its_status() {
        let payment = |status: &str| json!({ "id": "pi_1", "status": status });
        assert_eq!(meaning(200, &payment("succeeded")), ("paid", "pi_1".to_owned()));
        assert_eq!(meaning(200, &payment("processing")).0, "may be done");
        let (meant, why) = meaning(200, &payment("requires_action"));
        assert_eq!(meant, "declined");
        assert!(why.starts_with("authentication_required: "), "{why}");
        assert_eq!(meaning(200, &payment("canceled")).0, "declined");
        let failed = json!({
            "id": "pi_1", "status": "requires_payment_method",
            "last_payment_error": { "code": "card_declined", "message": "No.", "type": "card_error" },
        });
        assert_eq!(meaning(200, &failed), ("declined", "card_declined: No.".to_owned()));
    }

    #[test]
    fn what_is_wrong_with_the_order_rejects_it() {
        for (status, code, parameter, why) in [
            (400, "resource_missing", "customer", "customerId is no customer"),
            (404, "resource_missing", "id", "customerId is no customer"),
            (400, "resource_missing", "payment_method", "paymentMethodId is no payment method"),
            (400, "amount_too_large", "amount", "totalAmount is not within the limits"),
        ] {
            let (meant, said) = meaning(status, &error("invalid_request_error", code, parameter));
            assert_eq!(meant, "declined", "{code} {parameter}");
            assert!(said.starts_with(&format!("{code}: {why}")), "{said}");
        }
    }

    #[test]
    fn an_id_that_a_key_of_another_account_or_mode_does_not_know_rejects_no_order() {
        for (status, parameter) in [(400, "customer"), (404, "id"), (400, "payment_method")] {
            let missing = error("invalid_request_error", "resource_missing", parameter);
            let (meant, said) = meaning_for(status, &missing, false);
            assert_eq!(meant, "not done", "{parameter}");
            assert!(said.contains("check that the API key is of the account and the mode"));
            assert_eq!(meaning_for(status, &missing, true).0, "declined", "{parameter}");

            let mut other_mode = missing.clone();
            other_mode["error"]["message"] =
                "No such customer: 'cus_1'; a similar object exists in \
                test mode, but a live mode key was used to make this request."
                    .into();
            let (meant, said) = meaning_for(status, &other_mode, true);
            assert_eq!(meant, "not done", "{parameter}");
            assert!(!said.contains("cus_1"), "{said}");
        }
        // What is wrong with the amount is the order's fault, whichever account it is.
        let amount = error("invalid_request_error", "amount_too_large", "amount");
        assert_eq!(meaning_for(400, &amount, false).0, "declined");
    }

    #[test]
    fn what_is_wrong_with_the_settings_or_with_stripe_rejects_no_order() {
        for (status, kind, code, parameter, meant) in [
            (401, "invalid_request_error", "", "", "not done"),
            (403, "invalid_request_error", "", "", "not done"),
            (400, "invalid_request_error", "parameter_unknown", "confirmm", "not done"),
            (400, "invalid_request_error", "", "currency", "not done"),
            (429, "invalid_request_error", "rate_limit", "", "not done"),
            (409, "idempotency_error", "idempotency_key_in_use", "", "may be done"),
            (400, "idempotency_error", "", "amount", "may be done"),
            (500, "api_error", "", "", "may be done"),
            (503, "api_error", "", "", "may be done"),
        ] {
            let (is, said) = meaning(status, &error(kind, code, parameter));
            assert_eq!(is, meant, "{status} {kind} {code}");
            assert!(!said.contains("words"), "{said}");
        }
        assert_eq!(meaning(502, &json!("<html>")).0, "may be done");
    }
}
