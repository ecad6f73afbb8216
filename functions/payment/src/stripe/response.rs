//! Maps the responses of Stripe to an outcome of the charge: paid, declined, or retried.
//!
//! An order is declined only for an error of its customer, its payment method or its amount. A
//! wrong key or setting, and an error at Stripe, decline no order. `docs/providers.md` has the
//! table.

use serde::Deserialize;

use super::{
    ChargeOutcome,
    error::{IDEMPOTENCY_ERROR, RESOURCE_MISSING, Refused, RequestError, StripeError},
};

/// Stripe's payment object.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
    last_payment_error: Option<ApiError>,
}

/// Our metadata of a payment.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(rename = "orderId")]
    pub(super) order_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ApiError,
}

#[derive(Debug, Default, Deserialize)]
struct ApiError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

impl ApiError {
    /// The id may be unknown because of the key: it has not found any customer yet, or the id is of
    /// the other mode, which only the message reveals.
    fn may_be_of_the_key(&self, is_key_proven: bool) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        let is_of_the_other_mode = message.contains("a similar object exists in");
        self.code.as_deref() == Some(RESOURCE_MISSING) && (!is_key_proven || is_of_the_other_mode)
    }

    /// The error of the order if Stripe rejects what is taken from it.
    fn order_error(&self) -> Option<String> {
        let message = self.message.as_deref().unwrap_or_default();
        let why = match self.param.as_deref() {
            Some("customer" | "id") => "customerId is not a customer of the Stripe account",
            Some("payment_method") => "paymentMethodId is not a payment method of the customer",
            Some("amount") => "totalAmount is not within the limits of the currency",
            // Of a payment method that was detached from its customer Stripe says only this.
            None if message.contains("may not be used again") => {
                "paymentMethodId is not a payment method of the customer any more"
            }
            _ => return None,
        };
        Some(self.code.as_ref().map_or_else(|| why.to_owned(), |code| format!("{code}: {why}")))
    }
}

impl PaymentIntent {
    pub(super) fn is_paid(&self) -> bool {
        self.status == "succeeded"
    }

    /// The payment does not change without another request.
    pub(super) fn is_final(&self) -> bool {
        match self.status.as_str() {
            "succeeded" | "canceled" | "requires_action" => true,
            _ => self.last_payment_error.is_some(),
        }
    }
}

/// The error of a payment that is not final.
pub(super) fn pending(payment: PaymentIntent) -> RequestError {
    let PaymentIntent { id, status, .. } = payment;
    RequestError::Unknown(Box::new(StripeError::Pending { id, status }))
}

/// The outcome of a payment.
pub(super) fn of_payment(payment: PaymentIntent) -> Result<ChargeOutcome, RequestError> {
    let PaymentIntent { id, status, last_payment_error, .. } = payment;
    match status.as_str() {
        "succeeded" => Ok(ChargeOutcome::Paid(id)),
        "processing" => Err(RequestError::Unknown(Box::new(StripeError::Pending { id, status }))),
        "requires_action" => Ok(ChargeOutcome::Declined(
            "authentication_required: the customer must confirm the payment in person".to_owned(),
        )),
        _ => Ok(ChargeOutcome::Declined(match last_payment_error {
            Some(error) => decline(&error),
            None => format!("{status}: the payment was not completed; order again"),
        })),
    }
}

/// Maps a response with an HTTP status of 400 or above.
///
/// An unknown id may be an error of the order or of the key: a key of another account or mode finds
/// no customer. `is_key_proven`: this key has found a customer of an order. `is_replayed`: Stripe
/// repeats an earlier response.
pub(super) fn of_error(
    status: u16,
    request_id: &str,
    body: &[u8],
    is_key_proven: bool,
    is_replayed: bool,
) -> Result<ChargeOutcome, RequestError> {
    let ErrorBody { error } = serde_json::from_slice(body).unwrap_or_default();
    let parameter = error.param.as_deref().unwrap_or_default();
    match status {
        402 => return Ok(ChargeOutcome::Declined(decline(&error))),
        400 | 404
            if error.kind.as_deref() != Some(IDEMPOTENCY_ERROR)
                && !error.may_be_of_the_key(is_key_proven) =>
        {
            if let Some(why) = error.order_error() {
                return Ok(ChargeOutcome::Declined(why));
            }
        }
        _ => {}
    }
    // A key that is in use (409), a key that was used for a different request (400), or a server
    // error: the money may have been taken.
    let is_unknown =
        status == 409 || status >= 500 || error.kind.as_deref() == Some(IDEMPOTENCY_ERROR);
    let error = Box::new(StripeError::Refused(Refused {
        status,
        is_replayed,
        request_id: request_id.to_owned(),
        parameter: parameter.to_owned(),
        kind: error.kind.unwrap_or_default(),
        code: error.code.unwrap_or_default(),
    }));
    Err(if is_unknown { RequestError::Unknown(error) } else { RequestError::NotDone(error) })
}

/// Decline codes that must be shown as a generic decline, as Stripe recommends.
const CONFIDENTIAL_DECLINE_CODES: [&str; 6] = [
    "fraudulent",
    "lost_card",
    "merchant_blacklist",
    "pickup_card",
    "restricted_card",
    "stolen_card",
];

/// The decline code, and Stripe's message, which is written for the customer.
fn decline(error: &ApiError) -> String {
    let code = error.decline_code.as_deref().or(error.code.as_deref());
    let code =
        code.filter(|code| !CONFIDENTIAL_DECLINE_CODES.contains(code)).unwrap_or("generic_decline");
    let message = error.message.as_deref().filter(|_| code != "generic_decline");
    format!("{code}: {}", message.unwrap_or("The card was declined; pay with another one."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The kind of the outcome, and its reason.
    fn meaning(status: u16, body: &Value) -> (&'static str, String) {
        meaning_for(status, body, true)
    }

    /// The same for a key that may be of another account.
    fn meaning_for(status: u16, body: &Value, is_key_proven: bool) -> (&'static str, String) {
        let body = body.to_string();
        let meant = if status < 400 {
            of_payment(serde_json::from_str(&body).unwrap())
        } else {
            of_error(status, "req_1", body.as_bytes(), is_key_proven, false)
        };
        match meant {
            Ok(ChargeOutcome::Paid(id)) => ("paid", id),
            Ok(ChargeOutcome::Declined(why)) => ("declined", why),
            Err(RequestError::NotDone(error)) => ("not done", error.to_string()),
            Err(RequestError::Unknown(error)) => ("unknown", error.to_string()),
            Err(RequestError::Final(error)) => ("final", error.to_string()),
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
        for secret in CONFIDENTIAL_DECLINE_CODES {
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
        assert_eq!(meaning(200, &payment("processing")).0, "unknown");
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
            (400, "resource_missing", "customer", "customerId is not a customer"),
            (404, "resource_missing", "id", "customerId is not a customer"),
            (400, "resource_missing", "payment_method", "paymentMethodId is not a payment method"),
            (400, "amount_too_large", "amount", "totalAmount is not within the limits"),
        ] {
            let (meant, reason) = meaning(status, &error("invalid_request_error", code, parameter));
            assert_eq!(meant, "declined", "{code} {parameter}");
            assert!(reason.starts_with(&format!("{code}: {why}")), "{reason}");
        }
    }

    #[test]
    fn a_payment_method_that_was_detached_rejects_its_order() {
        let rejected = |message: &str| json!({ "error": { "type": "invalid_request_error", "message": message } });
        let detached = "The provided PaymentMethod was detached from a Customer. It may not be used \
            again.";
        let (meant, reason) = meaning(400, &rejected(detached));
        assert_eq!(meant, "declined");
        assert_eq!(reason, "paymentMethodId is not a payment method of the customer any more");
        assert_eq!(meaning(400, &rejected("Another rejection.")).0, "not done");
    }

    #[test]
    fn an_id_that_a_key_of_another_account_or_mode_does_not_know_rejects_no_order() {
        for (status, parameter) in [(400, "customer"), (404, "id"), (400, "payment_method")] {
            let missing = error("invalid_request_error", "resource_missing", parameter);
            let (meant, reason) = meaning_for(status, &missing, false);
            assert_eq!(meant, "not done", "{parameter}");
            assert!(reason.contains("check that the API key is of the account and the mode"));
            assert_eq!(meaning_for(status, &missing, true).0, "declined", "{parameter}");

            let mut other_mode = missing.clone();
            other_mode["error"]["message"] =
                "No such customer: 'cus_1'; a similar object exists in \
                test mode, but a live mode key was used to make this request."
                    .into();
            let (meant, reason) = meaning_for(status, &other_mode, true);
            assert_eq!(meant, "not done", "{parameter}");
            assert!(!reason.contains("cus_1"), "{reason}");
        }
        // A wrong amount is an error of the order, whatever the account.
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
            (409, "idempotency_error", "idempotency_key_in_use", "", "unknown"),
            (400, "idempotency_error", "", "amount", "unknown"),
            (500, "api_error", "", "", "unknown"),
            (503, "api_error", "", "", "unknown"),
        ] {
            let (is, reason) = meaning(status, &error(kind, code, parameter));
            assert_eq!(is, meant, "{status} {kind} {code}");
            assert!(!reason.contains("words"), "{reason}");
        }
        assert_eq!(meaning(502, &json!("<html>")).0, "unknown");
    }
}
