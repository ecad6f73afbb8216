//! Errors of requests to Stripe, by what is known of the charge.

use std::fmt;

use engine::{
    TransientError,
    error::{Error, PermanentError},
};

/// The type of an error for an idempotency key: with the status 400, the key was used for a
/// different request; with 409, it is in use.
pub(super) const IDEMPOTENCY_ERROR: &str = "idempotency_error";

/// The code for an id that does not exist in the account and the mode of the key.
pub(super) const RESOURCE_MISSING: &str = "resource_missing";

/// A request without a final outcome.
#[derive(Debug)]
pub(super) enum RequestError {
    /// Stripe did nothing; retryable.
    NotDone(Box<StripeError>),
    /// Stripe may have taken the money.
    Unknown(Box<StripeError>),
    /// A person must look at it: another try has the same response.
    Final(Box<StripeError>),
}

impl RequestError {
    /// The error for the engine.
    pub(super) fn of(self, operation: &'static str) -> Error {
        match self {
            Self::NotDone(error) | Self::Unknown(error) => {
                TransientError::new(operation, error).into()
            }
            Self::Final(error) => PermanentError::new(format!("{operation}: {error}")).into(),
        }
    }
}

/// An error that is safe to log: without the key and the customer.
#[derive(Debug, thiserror::Error)]
pub(super) enum StripeError {
    /// No response, or only a part of it.
    #[error("no response from Stripe")]
    NoResponse(#[source] reqwest::Error),
    /// The response is not one that Stripe documents; the parser's error may quote it.
    #[error("cannot read the response from Stripe (line {line}, column {column})")]
    Unreadable { line: usize, column: usize },
    /// Stripe rejected the request, not because of the order.
    #[error("Stripe responded {0}")]
    Refused(Refused),
    /// The payment is not final.
    #[error("the payment {id} is {status}")]
    Pending { id: String, status: String },
    /// A charge was sent, but Stripe does not list it, at least not yet.
    #[error("a charge was sent that Stripe does not list")]
    NotListed,
    /// A refund was not made.
    #[error("the payment could not be refunded: refund it in Stripe's dashboard")]
    NotRefunded,
}

impl StripeError {
    /// Stripe takes no request of this stack: its key or its rate is refused.
    pub(super) fn is_for_all(&self) -> bool {
        // Stripe limits the requests for one customer, too.
        matches!(self, Self::Refused(Refused { status: 401 | 403 | 429, code, .. })
            if code != "lock_timeout")
    }

    /// The idempotency key was used for a different request.
    pub(super) fn is_of_another_request(&self) -> bool {
        matches!(self, Self::Refused(Refused { status: 400, kind, .. }) if kind == IDEMPOTENCY_ERROR)
    }

    /// Stripe gives this response until it forgets the idempotency key, a day later: it repeats an
    /// error of its own, or the key was used for a different request.
    pub(super) fn lasts_with_the_key(&self) -> bool {
        let is_repeated =
            matches!(self, Self::Refused(Refused { status: 500.., is_replayed: true, .. }));
        is_repeated || self.is_of_another_request()
    }

    /// Stripe rejects the request itself: not its key, its rate or its idempotency key.
    pub(super) fn is_rejection(&self) -> bool {
        matches!(self, Self::Refused(Refused { status: 400 | 404, kind, code, .. })
            if kind != IDEMPOTENCY_ERROR && code != RESOURCE_MISSING)
    }

    pub(super) fn is_refunded_already(&self) -> bool {
        matches!(self, Self::Refused(Refused { code, .. }) if code == "charge_already_refunded")
    }
}

/// An error of Stripe as it may be logged: without the message, which could name the customer.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) is_replayed: bool,
    pub(super) request_id: String,
    pub(super) kind: String,
    pub(super) code: String,
    pub(super) parameter: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, is_replayed, request_id, kind, code, parameter } = self;
        write!(formatter, "{status} {kind} code={code:?} parameter={parameter:?} to {request_id}")?;
        match status {
            500.. if *is_replayed => write!(
                formatter,
                "; it repeats this for a day: an order that is delivered again after that is charged"
            ),
            400 if kind == IDEMPOTENCY_ERROR => write!(
                formatter,
                "; the card or amount differs from an earlier attempt's, and Stripe keeps that for a \
                 day: an order that is delivered again after that is charged"
            ),
            401 => write!(formatter, "; check the API key"),
            403 => write!(formatter, "; the API key lacks the permission"),
            400 | 404 if code == RESOURCE_MISSING => write!(
                formatter,
                "; check that the API key is of the account and the mode that have the customers"
            ),
            _ => Ok(()),
        }
    }
}
