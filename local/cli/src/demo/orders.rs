//! An order of the demo, and its expected end.
//!
//! The kind determines the end; other orders cannot change it. Only the race between cancellation
//! and payment is open.

use std::time::Duration;

use contracts::order::{customer_id, items, total_amount};
use contracts::{EventType, FailureCode, Item, JsonObject, Money, Object};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) repeat: Repeat,
    /// Time from the response to the cancellation; `None`: not cancelled.
    pub(crate) cancelled_after: Option<Duration>,
    pub(crate) body: String,
    pub(crate) customer_id: Option<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) amount: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Good,
    /// Breaks a rule of the validator.
    Invalid,
    /// More than the stock.
    OutOfStock,
    UnknownSku,
    /// More than the customer's balance.
    Declined,
    /// The body is not a JSON object.
    Malformed,
    /// Read from a file, so its end is not known.
    Listed,
}

/// The part of an order that is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Nothing,
    /// The HTTP request, as a client with a short timeout does.
    Request,
    /// The `OrderCreated` record, as a retrying producer does.
    Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Any single end.
    Anything,
    /// The event and, for a failure, its code.
    End(EventType, Option<FailureCode>),
    /// The HTTP API rejects it with 400.
    Rejected,
}

/// Average number of orders of each kind per thousand.
pub(crate) const MIX: [(Kind, u32); 6] = [
    (Kind::Good, 800),
    (Kind::Invalid, 60),
    (Kind::OutOfStock, 40),
    (Kind::UnknownSku, 20),
    (Kind::Declined, 50),
    (Kind::Malformed, 30),
];

impl Kind {
    pub(crate) const fn expected(self) -> Expected {
        let (event, code) = match self {
            Self::Good => return Expected::End(EventType::OrderCompleted, None),
            Self::Malformed => return Expected::Rejected,
            Self::Listed => return Expected::Anything,
            Self::Invalid => (EventType::OrderValidationFailed, FailureCode::ValidationFailed),
            Self::OutOfStock => (EventType::OrderInventoryFailed, FailureCode::OutOfStock),
            Self::UnknownSku => (EventType::OrderInventoryFailed, FailureCode::UnknownSku),
            Self::Declined => (EventType::OrderPaymentFailed, FailureCode::PaymentDeclined),
        };
        Expected::End(event, Some(code))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Invalid => "invalid",
            Self::OutOfStock => "out of stock",
            Self::UnknownSku => "unknown SKU",
            Self::Declined => "payment declined",
            Self::Malformed => "body is not a JSON object",
            Self::Listed => "from the file",
        }
    }
}

impl Order {
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
