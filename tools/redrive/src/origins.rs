//! Counts how often a record came back: follows the receipts from a copy to the record that was
//! redriven as it.
//!
//! The receipts have what a header would, so a copy keeps the headers of its original.

use std::collections::{BTreeSet, HashMap};

use crate::{position::Position, receipt::Receipt, record::Record};

/// The record that each copy was made of.
pub(crate) struct Origins<'a>(HashMap<&'a Position, &'a Position>);

impl<'a> Origins<'a> {
    /// A receipt whose records contradict it is forged. One whose record retention has removed
    /// counts: it can only have a record refused, which the operator sees.
    pub(crate) fn of(
        receipts: impl Iterator<Item = &'a Receipt>,
        records: &HashMap<Position, Record>,
    ) -> Self {
        let is_possible = |receipt: &&Receipt| {
            let pair = records.get(&receipt.redriven_as).zip(records.get(&receipt.record));
            pair.is_none_or(|(copy, original)| copy.is_later_copy_of(original))
        };
        let origins = receipts.filter(is_possible);
        Self(origins.map(|receipt| (&receipt.redriven_as, &receipt.record)).collect())
    }

    pub(crate) fn returns(&self, position: &Position) -> u32 {
        let mut counted = BTreeSet::new();
        let mut next = self.0.get(position);
        // Forged receipts could form a circle.
        while let Some(origin) = next.filter(|origin| counted.insert(**origin)) {
            next = self.0.get(*origin);
        }
        u32::try_from(counted.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: i64) -> Position {
        Position::new("order.created", 0, offset)
    }

    fn receipt(original: i64, copy: i64) -> Receipt {
        let dead_letter = Position::new("order.dead-letter", 0, original);
        Receipt::new(&position(original), &dead_letter, &position(copy))
    }

    fn returns(receipts: &[Receipt], values: &[(i64, &str)], of: i64) -> u32 {
        let records = values.iter().map(|(offset, value)| Record {
            position: position(*offset),
            timestamp_ms: None,
            key: None,
            value: Some((*value).into()),
            headers: vec![],
        });
        let records = records.map(|record| (record.position.clone(), record)).collect();
        Origins::of(receipts.iter(), &records).returns(&position(of))
    }

    #[test]
    fn each_redrive_before_a_record_counts_once() {
        // The record at 1 was given up by two functions, and redriven once.
        let receipts = [receipt(1, 5), receipt(1, 5), receipt(5, 9), receipt(2, 6)];
        let values = [(1, "a"), (2, "b"), (5, "a"), (6, "b"), (9, "a")];
        let counts = [1, 2, 5, 6, 9].map(|of| returns(&receipts, &values, of));
        assert_eq!(counts, [0, 0, 1, 1, 2]);
        // Retention has removed the oldest.
        assert_eq!(returns(&receipts, &[(9, "a")], 9), 2);
    }

    #[test]
    fn a_receipt_that_the_records_contradict_does_not_count() {
        assert_eq!(returns(&[receipt(1, 5)], &[(1, "a"), (5, "b")], 5), 0);
        assert_eq!(returns(&[receipt(5, 1)], &[(1, "a"), (5, "a")], 1), 0);
        let circle = [receipt(1, 5), receipt(5, 1)];
        assert_eq!(returns(&circle, &[], 5), 2);
    }
}
