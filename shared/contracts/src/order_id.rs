//! Order ids and correlation ids, bounded so that every one of them can be stored.

use std::fmt;

use crate::{RecordPosition, Topic};

/// The longest order id in bytes: half of what a DynamoDB partition key holds (2,048 bytes).
pub const MAX_ORDER_ID_BYTES: usize = 1_024;

/// The longest correlation id in bytes.
pub const MAX_CORRELATION_ID_BYTES: usize = 256;

/// The prefix of the ids that the order API generates.
pub const ORDER_ID_PREFIX: &str = "ord-";

/// The id of an order: not blank, without control characters, at most [`MAX_ORDER_ID_BYTES`] long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(String);

impl OrderId {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (is_id(text, MAX_ORDER_ID_BYTES) && !is_report_id(text)).then(|| Self(text.to_owned()))
    }

    /// Reads a record key that has the form of a generated order id.
    ///
    /// A key in another form may be any text, such as a name, and would reach the logs.
    #[must_use]
    pub fn from_record_key(key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let rest = key.strip_prefix(ORDER_ID_PREFIX)?;
        let has_form = !rest.is_empty() && rest.len() <= 64 && rest.bytes().all(is_plain);
        has_form.then(|| Self(key.to_owned()))
    }

    /// The id for a record without an order id, made from its position.
    #[must_use]
    pub fn from_position(position: &RecordPosition) -> Self {
        Self(position.to_string())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Not blank, no control characters, bounded.
pub(crate) fn is_id(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// True for the form under which the report of a malformed record is stored:
/// `TOPIC-PARTITION-OFFSET#DIGEST`. An order with such an id would take the place of a report.
fn is_report_id(text: &str) -> bool {
    let is_digest = |it: &str| it.len() == 32 && it.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_position = |it: &str| Topic::ALL.iter().any(|topic| it.starts_with(topic.name()));
    text.rsplit_once('#')
        .is_some_and(|(position, digest)| is_position(position) && is_digest(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_cannot_key_a_row_is_refused() {
        for text in ["", "  ", "a\u{0}b", "line\nfeed", &"x".repeat(MAX_ORDER_ID_BYTES + 1)] {
            assert_eq!(OrderId::parse(text), None, "{text:?}");
        }
        assert!(OrderId::parse(&"x".repeat(MAX_ORDER_ID_BYTES)).is_some());
    }

    #[test]
    fn an_order_cannot_take_the_place_of_a_malformed_report() {
        let digest = "0123456789abcdef".repeat(2);
        assert_eq!(OrderId::parse(&format!("order.created-5-632#{digest}")), None);
        for id in [format!("ord-1#{digest}"), "order.created-5-632#1".to_owned()] {
            assert!(OrderId::parse(&id).is_some(), "{id}");
        }
    }

    #[test]
    fn a_record_key_is_an_order_id_only_in_the_form_of_one() {
        let key = b"ord-0192f0c1-8e50-7c30-a1b2-5f6d7e8c9a0b";
        assert_eq!(OrderId::from_record_key(key).unwrap().as_str().as_bytes(), key);
        for key in ["Jane Doe", "ord-", "ord-Jane Doe", "jane@shop.example", "ord-\u{e9}"] {
            assert_eq!(OrderId::from_record_key(key.as_bytes()), None, "{key}");
        }
        assert_eq!(OrderId::from_record_key(b"\xff"), None);
    }
}
