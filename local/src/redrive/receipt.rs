//! How is it remembered that a record was put back? By a receipt behind its dead letter.
//!
//! It lies on the dead letter's own partition, so that it is kept at least as long as the letter. It
//! counts only if the copy that it names is there: see `entry.rs`.

use serde::{Deserialize, Serialize};

use super::position::Position;

/// Says that a record of a dead letter was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    #[serde(rename = "type")]
    kind: Kind,
    /// Where the record was when it was given up.
    pub(crate) record: Position,
    /// Where the dead letter lies.
    pub(crate) dead_letter: Position,
    /// Where the record lies now.
    pub(crate) put_back_as: Position,
}

/// Tells a receipt from a dead letter, which has no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    RedriveReceipt,
}

impl Receipt {
    pub(crate) fn new(record: &Position, dead_letter: &Position, put_back_as: &Position) -> Self {
        Self {
            kind: Kind::RedriveReceipt,
            record: record.clone(),
            dead_letter: dead_letter.clone(),
            put_back_as: put_back_as.clone(),
        }
    }

    /// The receipt in the value of a record; none where it is something else.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// The value of a record.
    ///
    /// # Errors
    /// Never: texts always have a spelling in JSON.
    pub(crate) fn write(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written_and_nothing_else_is_one() {
        let receipt = Receipt::new(
            &Position::new("order.created", 0, 17),
            &Position::new("order.dead-letter", 1, 3),
            &Position::new("order.created", 0, 42),
        );
        let written = receipt.write().unwrap();
        assert_eq!(
            String::from_utf8(written.clone()).unwrap(),
            "{\"type\":\"RedriveReceipt\",\"record\":\"order.created/0/17\",\
             \"deadLetter\":\"order.dead-letter/1/3\",\"putBackAs\":\"order.created/0/42\"}"
        );
        assert_eq!(Receipt::read(&written), Some(receipt));
        assert_eq!(Receipt::read(br#"{"requestContext":{},"payload":{}}"#), None);
    }
}
