//! Receipts: records on the dead-letter topic that mark a dead letter as redriven.
//!
//! A receipt is written on the partition of its dead letter, so that it is kept at least as long.
//! It counts only if the copy that it names exists: see `dead_letter.rs`.

use serde::{Deserialize, Serialize};

use crate::position::Position;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    #[serde(rename = "type")]
    kind: Kind,
    /// The position of the record that was given up.
    pub(crate) record: Position,
    /// The position of the message that holds the dead letter.
    pub(crate) dead_letter: Position,
    /// The position of the copy. The JSON name is that of receipts already written.
    #[serde(rename = "putBackAs")]
    pub(crate) redriven_as: Position,
}

/// Distinguishes a receipt from a dead letter, which has no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    RedriveReceipt,
}

impl Receipt {
    pub(crate) fn new(record: &Position, dead_letter: &Position, redriven_as: &Position) -> Self {
        Self {
            kind: Kind::RedriveReceipt,
            record: record.clone(),
            dead_letter: dead_letter.clone(),
            redriven_as: redriven_as.clone(),
        }
    }

    /// `None` if the value is not a receipt.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// # Errors
    /// Never: strings can always be written as JSON.
    pub(crate) fn write(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_written_and_other_values_are_not_receipts() {
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
