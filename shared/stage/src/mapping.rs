//! What an event-source mapping for Kafka hands to a function, and what it reads of the answer.
//!
//! A record is never allowed to make its neighbours unreadable: only what says where a record lies
//! (partition and offset) is demanded, everything else may be missing or odd. In the answer a
//! partition is reported from its first failure on: that is right whether the mapping takes the list
//! as records to deliver again or as the offset to go on from.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::Source;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// What the mapping hands to the function: records by `topic-partition`.
#[derive(Debug, Deserialize)]
pub struct KafkaEvent {
    /// The records of each partition, in the order of their offsets.
    #[serde(default)]
    pub records: BTreeMap<String, Vec<KafkaRecord>>,
}

/// One record as the mapping hands it over.
#[derive(Debug, Deserialize)]
pub struct KafkaRecord {
    topic: Option<String>,
    partition: i32,
    offset: i64,
    #[serde(default)]
    timestamp: Lenient<i64>,
    #[serde(default)]
    key: Lenient<String>,
    #[serde(default)]
    value: Lenient<String>,
    #[serde(default)]
    headers: Lenient<Vec<BTreeMap<String, Lenient<Vec<i16>>>>>,
}

impl KafkaRecord {
    /// Where the record lies; `partition_key` is the name it was listed under.
    #[must_use]
    pub fn source(&self, partition_key: &str) -> Source {
        let topic = self.topic.clone().unwrap_or_else(|| {
            partition_key.rsplit_once('-').map_or(partition_key, |(topic, _)| topic).to_owned()
        });
        Source { topic, partition: self.partition, offset: self.offset }
    }

    /// When the record was written, in milliseconds since 1970; `None` where nobody said.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp.0.filter(|timestamp| *timestamp >= 0)
    }

    /// The key as text, where it is some.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        String::from_utf8(BASE64_STANDARD.decode(self.key.0.as_deref()?).ok()?).ok()
    }

    /// The value's bytes.
    ///
    /// # Errors
    /// Why there are none, as a sentence for the sender.
    pub fn value(&self) -> Result<Vec<u8>, String> {
        let encoded = self.value.0.as_deref().ok_or("the record has no value")?;
        BASE64_STANDARD
            .decode(encoded)
            .map_err(|error| format!("the record's value is no base64: {error}"))
    }

    /// The first header of that name, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let bytes = self.headers.0.as_ref()?.iter().find_map(|header| header.get(name))?;
        // Kafka's header bytes come as Java bytes, from -128 to 127; other tools send 0 to 255.
        let bytes = bytes
            .0
            .as_ref()?
            .iter()
            .map(|byte| u8::try_from(byte.rem_euclid(256)).unwrap_or_default());
        String::from_utf8(bytes.collect()).ok()
    }
}

/// A value that is `None` where it is missing, null or of another type.
#[derive(Debug)]
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &RawValue = Deserialize::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

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
    use serde_json::{Value, json};

    use super::*;

    fn record(changes: &Value) -> KafkaRecord {
        let mut record = json!({
            "topic": "order.created", "partition": 3, "offset": 42, "timestamp": 1_545_084_650_987_i64,
            "timestampType": "CREATE_TIME", "key": "b3JkLTE=", "value": "e30=",
            "headers": [{ "traceparent": [48, 48] }],
        });
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        serde_json::from_str(&record.to_string()).expect("the record is read")
    }

    #[test]
    fn a_record_says_where_it_lies_and_what_it_holds() {
        let record = record(&json!({}));
        assert_eq!(record.source("x-3").topic, "order.created");
        assert_eq!(record.timestamp_ms(), Some(1_545_084_650_987));
        assert_eq!(record.key().as_deref(), Some("ord-1"));
        assert_eq!(record.value().unwrap(), b"{}");
        assert_eq!(record.header("traceparent").as_deref(), Some("00"));
    }

    #[test]
    fn whatever_is_odd_is_only_missing() {
        for odd in [json!(null), json!({}), json!([[7]]), json!("\u{1}"), json!(true)] {
            let record = record(&json!({
                "topic": null, "timestamp": odd, "key": odd, "value": odd, "headers": odd,
            }));
            assert_eq!(record.source("order.created-3").topic, "order.created");
            assert_eq!(record.timestamp_ms(), None);
            assert_eq!(record.key(), None);
            assert!(record.value().is_err());
            assert_eq!(record.header("traceparent"), None);
        }
        assert_eq!(record(&json!({ "timestamp": -1 })).timestamp_ms(), None);
    }

    #[test]
    fn header_bytes_are_read_signed_and_unsigned() {
        for bytes in [json!([-61, -87]), json!([195, 169])] {
            let record = record(&json!({ "headers": [{ "odd": null }, { "name": bytes }] }));
            assert_eq!(record.header("name").as_deref(), Some("é"));
            assert_eq!(record.header("odd"), None);
        }
    }

    fn result(partition: &str, offset: i64, failed: bool) -> (ItemIdentifier, bool) {
        (ItemIdentifier { partition: partition.to_owned(), offset }, failed)
    }

    #[test]
    fn a_partition_is_reported_from_its_first_failure_on() {
        let response = BatchResponse::from_results(vec![
            result("a-0", 1, false),
            result("a-0", 2, true),
            result("a-0", 3, false),
            result("a-1", 7, false),
            result("a-2", 8, true),
        ]);
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            json!({ "batchItemFailures": [
                { "itemIdentifier": { "partition": "a-0", "offset": 2 } },
                { "itemIdentifier": { "partition": "a-0", "offset": 3 } },
                { "itemIdentifier": { "partition": "a-2", "offset": 8 } },
            ]})
        );
    }

    #[test]
    fn success_is_an_empty_list() {
        let response = BatchResponse::from_results(vec![result("a-0", 1, false)]);
        assert!(response.is_success());
        assert_eq!(serde_json::to_string(&response).unwrap(), r#"{"batchItemFailures":[]}"#);
    }
}
