//! A batch under construction: records of several partitions, up to the mapping's batch size and
//! Lambda's limit for an event.

use std::collections::BTreeMap;

use super::event::{EVENT_LIMIT, EventEncoder, Record};

pub(super) struct Batch<'a> {
    encoder: &'a EventEncoder,
    max_records: usize,
    records: BTreeMap<i32, Vec<Record>>,
    len: usize,
    bytes: usize,
    is_full: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(encoder: &'a EventEncoder, max_records: usize) -> Self {
        let (records, bytes) = (BTreeMap::new(), encoder.empty_size());
        Self { encoder, max_records, records, len: 0, bytes, is_full: false }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a record. An empty batch takes any.
    ///
    /// # Errors
    /// Returns the record if the batch has no room for it, and is full then.
    pub(super) fn push(&mut self, record: Record) -> Result<(), Record> {
        let mut size = record.size();
        if !self.records.contains_key(&record.partition) {
            size = size.saturating_add(self.encoder.partition_size(record.partition));
        }
        let bytes = self.bytes.saturating_add(size);
        if self.is_full || (bytes > EVENT_LIMIT && self.len > 0) {
            self.is_full = true;
            return Err(record);
        }
        self.bytes = bytes;
        self.len = self.len.saturating_add(1);
        self.is_full = self.len >= self.max_records || self.bytes >= EVENT_LIMIT;
        self.records.entry(record.partition).or_default().push(record);
        Ok(())
    }

    /// Finishes a filtered record together with the record before it. `false` if its partition has
    /// none in this batch.
    pub(super) fn skip(&mut self, filtered: &Record) -> bool {
        let last = self.records.get_mut(&filtered.partition).and_then(|records| records.last_mut());
        match last {
            Some(last) => last.next_offset = filtered.next_offset,
            None => return false,
        }
        true
    }

    /// The records by partition, in order.
    pub(super) fn into_records(self) -> Vec<Record> {
        self.records.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_at_its_number_of_records() {
        let encoder = EventEncoder::new("b:9092", "a.topic");
        let mut batch = Batch::new(&encoder, 2);
        batch.push(Record::test(1, 7)).unwrap();
        assert!(!batch.is_full());
        batch.push(Record::test(0, 3)).unwrap();
        assert!(batch.is_full());
        batch.push(Record::test(0, 4)).unwrap_err();
        let positions: Vec<_> =
            batch.into_records().iter().map(|record| (record.partition, record.offset)).collect();
        assert_eq!(positions, [(0, 3), (1, 7)]);
    }

    #[test]
    fn the_limit_of_an_event_is_for_the_records_of_all_partitions() {
        let encoder = EventEncoder::new("b:9092", "a.topic");
        let mut batch = Batch::new(&encoder, 1_000);
        let of_1_mib = |partition, offset| Record {
            json: "x".repeat(1024 * 1024),
            ..Record::test(partition, offset)
        };
        let taken = (0..10).take_while(|number| batch.push(of_1_mib(number % 3, 1)).is_ok());
        assert_eq!(taken.count(), 5);
        assert!(batch.is_full());
        assert!(encoder.event(&batch.into_records()).len() <= EVENT_LIMIT);
    }

    #[test]
    fn a_record_beyond_the_limit_is_a_batch_of_its_own() {
        let encoder = EventEncoder::new("b:9092", "a.topic");
        let mut batch = Batch::new(&encoder, 1_000);
        batch.push(Record { json: "x".repeat(EVENT_LIMIT), ..Record::test(0, 1) }).unwrap();
        assert!(batch.is_full());
    }

    #[test]
    fn a_filtered_record_is_finished_with_the_record_before_it() {
        let encoder = EventEncoder::new("b:9092", "a.topic");
        let mut batch = Batch::new(&encoder, 1_000);
        assert!(!batch.skip(&Record::test(0, 1)));
        batch.push(Record::test(0, 2)).unwrap();
        assert!(batch.skip(&Record::test(0, 3)));
        assert!(!batch.skip(&Record::test(1, 1)));
        assert_eq!(batch.into_records()[0].next_offset, 4);
    }
}
