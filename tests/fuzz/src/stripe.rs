//! A response of Stripe: the status on the first line, then the body.
//!
//! The reader is private to the payment function, whose public way in retries until a deadline, so
//! its files are compiled here.

#[expect(dead_code, reason = "the function uses more of it")]
#[path = "../../../functions/payment/src/stripe/error.rs"]
mod error;
#[expect(dead_code, reason = "the function uses more of it")]
#[path = "../../../functions/payment/src/stripe/response.rs"]
mod response;

use std::error::Error;

use error::{RequestError, StripeError};
use response::PaymentIntent;
use serde_json::Value;

/// As the function has it.
#[derive(Debug)]
pub(crate) enum ChargeOutcome {
    Paid(String),
    Declined(String),
}

pub(crate) fn run(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (status, body) = input.split_at(end);
    let status = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok());
    let (status, body) = (status.unwrap_or(400), body.get(1..).unwrap_or_default());
    for (is_key_proven, is_replayed) in [(true, false), (false, false), (true, true)] {
        let outcome = response::of_error(status, "req_1", body, is_key_proven, is_replayed);
        is_safe(status, body, outcome);
    }
    if let Ok(payment) = serde_json::from_slice::<PaymentIntent>(body) {
        let is_paid = payment.status == "succeeded";
        assert!(!is_paid || payment.is_final());
        match response::of_payment(payment) {
            Ok(ChargeOutcome::Paid(_)) => assert!(is_paid),
            Ok(ChargeOutcome::Declined(why)) => assert!(!is_paid && !why.is_empty()),
            Err(_) => assert!(!is_paid),
        }
    }
}

/// An error is never a payment, a server's error never a decline, and neither is logged with its
/// message, which may name the customer.
fn is_safe(status: u16, body: &[u8], outcome: Result<ChargeOutcome, RequestError>) {
    let error = match outcome {
        Ok(ChargeOutcome::Paid(id)) => return assert!(id.is_empty(), "{status} has paid {id}"),
        Ok(ChargeOutcome::Declined(why)) => {
            return assert!([400, 402, 404].contains(&status), "{status} declines: {why}");
        }
        Err(
            RequestError::NotDone(error)
            | RequestError::Unknown(error)
            | RequestError::Final(error),
        ) => error,
    };
    let logged = logged(&error);
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default();
    let message = text("message");
    let is_elsewhere = ["type", "code", "param"].iter().any(|name| text(name).contains(message));
    let is_own = logged.replace(message, "").len() + message.len() < 16 || message.len() < 16;
    assert!(is_elsewhere || is_own || !logged.contains(message), "{logged}");
}

fn logged(error: &StripeError) -> String {
    let source = error.source().map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}
