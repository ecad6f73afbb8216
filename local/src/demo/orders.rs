//! An order of the demo, and the end that it must have.
//!
//! Its kind settles the end before it is sent, and no other order can change it; only whether a
//! cancellation comes before the payment is a matter of time.

use std::time::Duration;

use contracts::order::{customer_id, items, total_amount};
use contracts::{EventType, FailureCode, Item, JsonObject, Money, Object};

/// One order as it is posted, and what has to come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) repeat: Repeat,
    /// How long after its intake it is cancelled, if it is.
    pub(crate) cancelled_after: Option<Duration>,
    pub(crate) body: String,
    pub(crate) customer_id: Option<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) amount: Money,
}

/// What is wrong with an order, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// All is well.
    Good,
    /// It breaks a rule of the validator.
    Invalid,
    /// It wants more than there is.
    OutOfStock,
    /// It wants what is not sold.
    UnknownSku,
    /// The customer cannot pay.
    Declined,
    /// The body is not a JSON object.
    Malformed,
    /// It comes from a file, and anything may come of it.
    Listed,
}

/// What is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing.
    Nothing,
    /// The HTTP request, as an impatient client does.
    Request,
    /// The first event's record, as a producer does that got no answer.
    Record,
}

/// What has to come of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Any one end.
    Anything,
    /// This end: the event and, for a failure, its code.
    End(EventType, Option<FailureCode>),
    /// The HTTP API refuses it.
    Refused,
}

/// How many of a thousand orders are of a kind, on average.
pub(crate) const MIX: [(Kind, u32); 6] = [
    (Kind::Good, 800),
    (Kind::Invalid, 60),
    (Kind::OutOfStock, 40),
    (Kind::UnknownSku, 20),
    (Kind::Declined, 50),
    (Kind::Malformed, 30),
];

impl Kind {
    /// What has to come of an order of this kind.
    pub(crate) const fn expected(self) -> Expected {
        let (event, code) = match self {
            Self::Good => return Expected::End(EventType::OrderCompleted, None),
            Self::Malformed => return Expected::Refused,
            Self::Listed => return Expected::Anything,
            Self::Invalid => (EventType::OrderValidationFailed, FailureCode::ValidationFailed),
            Self::OutOfStock => (EventType::OrderInventoryFailed, FailureCode::OutOfStock),
            Self::UnknownSku => (EventType::OrderInventoryFailed, FailureCode::UnknownSku),
            Self::Declined => (EventType::OrderPaymentFailed, FailureCode::PaymentDeclined),
        };
        Expected::End(event, Some(code))
    }

    /// How the kind is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Invalid => "not well formed",
            Self::OutOfStock => "of more than there is",
            Self::UnknownSku => "of something that is not sold",
            Self::Declined => "that the customer cannot pay",
            Self::Malformed => "with a body that is not an object",
            Self::Listed => "from the file",
        }
    }
}

impl Order {
    /// The order with this payload.
    pub(crate) fn new(kind: Kind, repeat: Repeat, payload: &JsonObject) -> Self {
        let body = serde_json::Value::from(payload.clone()).to_string();
        let payload = Object::parse(&body).ok();
        let payload = payload.as_ref();
        Self {
            kind,
            repeat,
            cancelled_after: None,
            customer_id: payload
                .and_then(|it| customer_id(it).ok())
                .map(std::borrow::Cow::into_owned),
            items: payload.and_then(|it| items(it).ok()).unwrap_or_default(),
            amount: payload.and_then(|it| total_amount(it).ok()).unwrap_or_default(),
            body,
        }
    }
}
