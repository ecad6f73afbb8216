//! The answer to an event-source mapping: which records it is to deliver again.
//!
//! A partition is reported from its first failure on: that is right whether the mapping takes the
//! list as records to deliver again or as the offset to go on from.

use std::collections::HashMap;

use serde::Serialize;

/// The names of a record for the mapping: `topic-partition`, as it came, and offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemIdentifier {
    /// The key under which the record was listed.
    pub partition: String,
    /// The record's offset.
    pub offset: i64,
}

/// The answer with partial responses: empty where everything succeeded.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// What is to be delivered again.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// One record to deliver again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Which one.
    pub item_identifier: ItemIdentifier,
}

impl BatchResponse {
    /// Reports every partition from its first failure on.
    ///
    /// `records` are all records of the batch, each with whether it has failed.
    #[must_use]
    pub fn from_results(records: Vec<(ItemIdentifier, bool)>) -> Self {
        let mut first_failure: HashMap<String, i64> = HashMap::new();
        for (record, _) in records.iter().filter(|(_, failed)| *failed) {
            let first = first_failure.entry(record.partition.clone()).or_insert(record.offset);
            *first = record.offset.min(*first);
        }
        let again = |record: &ItemIdentifier| {
            first_failure.get(&record.partition).is_some_and(|first| record.offset >= *first)
        };
        let batch_item_failures = records
            .into_iter()
            .filter(|(record, _)| again(record))
            .map(|(item_identifier, _)| BatchItemFailure { item_identifier })
            .collect();
        Self { batch_item_failures }
    }

    /// Whether nothing is to be delivered again.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: &str, offset: i64, failed: bool) -> (ItemIdentifier, bool) {
        (ItemIdentifier { partition: partition.to_owned(), offset }, failed)
    }

    #[test]
    fn a_partition_is_reported_from_its_first_failure_on() {
        let response = BatchResponse::from_results(vec![
            record("a-0", 1, false),
            record("a-0", 2, true),
            record("a-0", 3, false),
            record("a-1", 7, false),
            record("a-2", 8, true),
        ]);
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            serde_json::json!({ "batchItemFailures": [
                { "itemIdentifier": { "partition": "a-0", "offset": 2 } },
                { "itemIdentifier": { "partition": "a-0", "offset": 3 } },
                { "itemIdentifier": { "partition": "a-2", "offset": 8 } },
            ]})
        );
    }

    #[test]
    fn success_is_an_empty_list() {
        let response = BatchResponse::from_results(vec![record("a-0", 1, false)]);
        assert!(response.is_success());
        assert_eq!(serde_json::to_string(&response).unwrap(), r#"{"batchItemFailures":[]}"#);
    }
}
