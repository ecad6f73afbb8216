//! Failure codes, failure reasons, and the payload of a failure event.

use std::fmt;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::{
    Errors, Object, StageName, Topic,
    object::{push_field, quoted},
};

/// The longest text of a reason in bytes; a longer one is truncated.
const MAX_REASON_BYTES: usize = 8 * 1024;

/// The failure codes: the word before the colon of a `failureReason`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE", const_into_str)]
pub enum FailureCode {
    /// The order is not well formed.
    ValidationFailed,
    /// An item is not available in the quantity that was ordered.
    OutOfStock,
    /// An item does not exist.
    UnknownSku,
    /// The customer could not be charged.
    PaymentDeclined,
    /// The customer could not be notified.
    NotificationFailed,
    /// The record is not an event of the contract.
    MalformedEvent,
    /// The record is an event of another topic.
    UnexpectedEvent,
    /// The event does not fit a row of the database.
    EventTooLarge,
    /// The order was cancelled before it was paid.
    OrderCancelled,
    /// The order was not paid in time.
    OrderExpired,
}

impl FailureCode {
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The code as events spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    /// Reads the code at the start of a `failureReason`.
    #[must_use]
    pub fn of_reason(failure_reason: &str) -> Option<Self> {
        failure_reason.split(':').next()?.parse().ok()
    }
}

/// A failure code and a text for people; displays as `CODE: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReason {
    pub code: FailureCode,
    text: String,
}

impl FailureReason {
    /// Truncates a text above 8 KB.
    #[must_use]
    pub fn new(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code, text: bounded(text.into()) }
    }

    /// Merges reasons: the code of the first, and every text. `None` if there are none.
    #[must_use]
    pub fn merge(reasons: Vec<Self>) -> Option<Self> {
        let code = reasons.first()?.code;
        let mut texts = Errors::default();
        reasons.into_iter().for_each(|reason| texts.push(reason.text));
        Some(Self::new(code, texts.to_string()))
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.text)
    }
}

/// Truncates a text to [`MAX_REASON_BYTES`].
fn bounded(mut text: String) -> String {
    if text.len() > MAX_REASON_BYTES {
        text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
        text.push_str("...");
    }
    text
}

/// The position of a record on the broker; displays as `topic-partition-offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordPosition {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset } = self;
        write!(formatter, "{topic}-{partition}-{offset}")
    }
}

/// The payload of a failure event.
#[derive(Debug)]
pub struct Failure<'a> {
    pub reason: &'a FailureReason,
    /// The stage that reports the failure.
    pub stage: StageName,
    /// The rejected record; `None` if the stage was decided without one.
    pub source: Option<RecordPosition>,
    /// The payload of that record as JSON text; `None` if it is missing or too large.
    pub original_payload: Option<&'a str>,
    /// Set for the report of a malformed record, which belongs to no order.
    pub is_malformed_report: bool,
}

impl Failure<'_> {
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = "{".to_owned();
        if let Some(original) = self.original_payload {
            push_field(&mut json, "originalPayload", original);
        }
        push_field(&mut json, "failureReason", &quoted(&self.reason.to_string()));
        push_field(&mut json, "stage", &quoted(self.stage.name()));
        if let Some(RecordPosition { topic, partition, offset }) = self.source {
            let source =
                format!(r#"{{"topic":"{topic}","partition":{partition},"offset":{offset}}}"#);
            push_field(&mut json, "source", &source);
        }
        if self.is_malformed_report {
            push_field(&mut json, MALFORMED, "true");
        }
        json.push('}');
        json
    }
}

/// The field that marks the report of a malformed record.
///
/// Only the workflow writes the top level of a failure's payload: a client's own fields are inside
/// `originalPayload`.
const MALFORMED: &str = "malformed";

pub(crate) fn is_marked_malformed(failure_payload: &Object<'_>) -> bool {
    failure_payload.get(MALFORMED) == Some("true")
}

/// Reads the reason of a failure event from its payload, truncated like every reason.
#[must_use]
pub fn failure_reason(failure_payload: &Object<'_>) -> Option<String> {
    failure_payload.string("failureReason").map(|reason| bounded(reason.into_owned()))
}

/// Reads the code of a failure event from its payload.
#[must_use]
pub fn failure_code(failure_payload: &Object<'_>) -> Option<FailureCode> {
    FailureCode::of_reason(&failure_payload.string("failureReason")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_back_from_its_reason() {
        for code in FailureCode::ALL {
            let reason = FailureReason::new(*code, "wanted 3: available 1").to_string();
            assert_eq!(FailureCode::of_reason(&reason), Some(*code));
        }
        assert_eq!(FailureCode::OutOfStock.name(), "OUT_OF_STOCK");
        assert_eq!(FailureCode::of_reason("words of another service"), None);
    }

    #[test]
    fn several_reasons_become_one_that_names_them_all() {
        let merged = FailureReason::merge(vec![
            FailureReason::new(FailureCode::OutOfStock, "A is short"),
            FailureReason::new(FailureCode::UnknownSku, "B is not sold here"),
        ]);
        assert_eq!(merged.unwrap().to_string(), "OUT_OF_STOCK: A is short; B is not sold here");
        assert_eq!(FailureReason::merge(Vec::new()), None);
    }

    #[test]
    fn a_reason_is_bounded() {
        let error =
            |number| FailureReason::new(FailureCode::ValidationFailed, format!("error {number}"));
        let reason = FailureReason::merge((0..1_000).map(error).collect()).unwrap();
        assert!(reason.text().ends_with("; error 19; and 980 more"), "{reason}");
        let long = FailureReason::new(FailureCode::OutOfStock, "é".repeat(MAX_REASON_BYTES));
        assert!(long.text().len() <= MAX_REASON_BYTES + 3);
    }
}
