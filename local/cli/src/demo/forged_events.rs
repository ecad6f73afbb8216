//! The forged events of a run, and the positions that they got.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use contracts::RecordPosition;

#[derive(Debug, Default)]
pub(crate) struct ForgedEvents {
    /// Digests of the records.
    sent: HashSet<u64>,
    /// The observed ones, by the order id that they name.
    pub(crate) positions: BTreeMap<String, BTreeSet<RecordPosition>>,
}

impl ForgedEvents {
    /// Expects a record with this digest of its value. Call it before the record is published.
    pub(crate) fn expect(&mut self, digest: u64) {
        self.sent.insert(digest);
    }

    pub(crate) fn is_forged(&self, digest: u64) -> bool {
        self.sent.contains(&digest)
    }

    /// Stores the position of a record that this run forged; `false` for other records.
    pub(super) fn is_expected(
        &mut self,
        order_id: &str,
        position: RecordPosition,
        digest: u64,
    ) -> bool {
        let is_expected = self.is_forged(digest);
        if is_expected {
            self.positions.entry(order_id.to_owned()).or_default().insert(position);
        }
        is_expected
    }
}
