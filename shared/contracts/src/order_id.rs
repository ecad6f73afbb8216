//! What identifies an order, and where it stops fitting the database.

use std::fmt;

/// The longest order id in bytes: half of what a DynamoDB partition key holds (2,048 bytes).
pub const MAX_ORDER_ID_BYTES: usize = 1_024;

/// The id of an order: not empty, at most [`MAX_ORDER_ID_BYTES`] long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(String);

impl OrderId {
    /// Reads an order id; `None` where the text is empty, blank or too long.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.trim().is_empty() && text.len() <= MAX_ORDER_ID_BYTES;
        fits.then(|| Self(text.to_owned()))
    }

    /// The id of a record that names no order, made from where the record lies.
    #[must_use]
    pub fn from_position(topic: &str, partition: i32, offset: i64) -> Self {
        Self(format!("{topic}-{partition}-{offset}"))
    }

    /// The id as text.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_no_row_could_be_keyed_by_is_refused() {
        assert_eq!(OrderId::parse(""), None);
        assert_eq!(OrderId::parse("  "), None);
        assert_eq!(OrderId::parse(&"x".repeat(MAX_ORDER_ID_BYTES + 1)), None);
        assert!(OrderId::parse(&"x".repeat(MAX_ORDER_ID_BYTES)).is_some());
    }
}
