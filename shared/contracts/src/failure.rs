//! Why an order, or a record, went no further.

use std::fmt;

use serde_json::{Value, json};

use crate::{JsonObject, StageName};

/// The kinds of failure: the word before the colon of a `failureReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureCode {
    /// The order is not well formed.
    ValidationFailed,
    /// An item is not there in the quantity that was ordered.
    OutOfStock,
    /// An item is not sold here.
    UnknownSku,
    /// The customer's money could not be taken.
    PaymentDeclined,
    /// The customer could not be told.
    NotificationFailed,
    /// The record is no event of the contract.
    MalformedEvent,
    /// The record is an event, but of another topic.
    UnexpectedEvent,
    /// The event would not fit the database.
    EventTooLarge,
}

impl FailureCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::ValidationFailed,
        Self::OutOfStock,
        Self::UnknownSku,
        Self::PaymentDeclined,
        Self::NotificationFailed,
        Self::MalformedEvent,
        Self::UnexpectedEvent,
        Self::EventTooLarge,
    ];

    /// The word as it stands in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ValidationFailed => "VALIDATION_FAILED",
            Self::OutOfStock => "OUT_OF_STOCK",
            Self::UnknownSku => "UNKNOWN_SKU",
            Self::PaymentDeclined => "PAYMENT_DECLINED",
            Self::NotificationFailed => "NOTIFICATION_FAILED",
            Self::MalformedEvent => "MALFORMED_EVENT",
            Self::UnexpectedEvent => "UNEXPECTED_EVENT",
            Self::EventTooLarge => "EVENT_TOO_LARGE",
        }
    }

    /// The code that a `failureReason` begins with, if it is one of these.
    #[must_use]
    pub fn of_reason(failure_reason: &str) -> Option<Self> {
        let word = failure_reason.split(':').next()?;
        Self::ALL.into_iter().find(|code| code.name() == word)
    }

    /// Whether the failure is about a record that was no event of its topic.
    ///
    /// Such a report ends no order, even where the record carried an order's id.
    #[must_use]
    pub const fn is_poison(self) -> bool {
        matches!(self, Self::MalformedEvent | Self::UnexpectedEvent)
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A failure and what a person can do about it; reads `CODE: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReason {
    /// The kind of failure.
    pub code: FailureCode,
    /// What a person can act on.
    pub text: String,
}

impl FailureReason {
    /// A reason of that kind.
    #[must_use]
    pub fn new(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// One reason for several: the first one's code, every text. `None` where there is none.
    #[must_use]
    pub fn merge(reasons: impl IntoIterator<Item = Self>) -> Option<Self> {
        reasons.into_iter().reduce(|mut merged, next| {
            merged.text.push_str("; ");
            merged.text.push_str(&next.text);
            merged
        })
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.text)
    }
}

/// Where a record lies on the broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset in its partition.
    pub offset: i64,
}

/// The payload of a failure event.
///
/// `original` is left out where there is none, or where it is what made the event too large.
#[must_use]
pub fn failure_payload(
    reason: &FailureReason,
    stage: StageName,
    source: &Source,
    original: Option<&Value>,
) -> JsonObject {
    let mut payload = JsonObject::new();
    if let Some(original) = original {
        payload.insert("originalPayload".to_owned(), original.clone());
    }
    payload.insert("failureReason".to_owned(), reason.to_string().into());
    payload.insert("stage".to_owned(), stage.name().into());
    payload.insert(
        "source".to_owned(),
        json!({ "topic": source.topic, "partition": source.partition, "offset": source.offset }),
    );
    payload
}

/// The code of a failure event, read from its payload.
#[must_use]
pub fn failure_code(payload: &JsonObject) -> Option<FailureCode> {
    FailureCode::of_reason(payload.get("failureReason")?.as_str()?)
}

/// Whether an event with this payload reports a record that was no event, and so is about no order.
#[must_use]
pub fn reports_bad_record(payload: &JsonObject) -> bool {
    failure_code(payload).is_some_and(FailureCode::is_poison)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_back_from_its_reason() {
        for code in FailureCode::ALL {
            let reason = FailureReason::new(code, "wanted 3: available 1").to_string();
            assert_eq!(FailureCode::of_reason(&reason), Some(code));
        }
        assert_eq!(FailureCode::of_reason("some other service's words"), None);
    }

    #[test]
    fn several_reasons_become_one_that_names_them_all() {
        let merged = FailureReason::merge([
            FailureReason::new(FailureCode::OutOfStock, "A is short"),
            FailureReason::new(FailureCode::UnknownSku, "B is not sold here"),
        ]);
        assert_eq!(merged.unwrap().to_string(), "OUT_OF_STOCK: A is short; B is not sold here");
        assert_eq!(FailureReason::merge([]), None);
    }
}
