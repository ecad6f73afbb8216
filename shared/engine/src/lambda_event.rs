//! The event that a Kafka event-source mapping sends, and the response it reads.
//!
//! A record never makes its neighbours unreadable: only its position (partition and offset) is
//! required, everything else may be missing or odd. In the response a partition is reported from its
//! first failure on, which is right whether the mapping takes the list as records to redeliver or as
//! the offset to resume from.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The event sources that send batches of records: MSK, and a cluster that AWS does not manage.
const EVENT_SOURCES: [&str; 2] = ["aws:kafka", "SelfManagedKafka"];

/// An event that is not a batch of Kafka records.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the event as a batch of Kafka records: {0} (invoke the function through an event \
     source mapping of a topic, as template.yaml has it, or with a file of events/)"
)]
pub struct NotKafka(String);

/// A batch: records by `topic-partition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaEvent<'a> {
    #[serde(borrow, default)]
    event_source: Lenient<Text<'a>>,
    /// The records of each partition, in the order of their offsets.
    #[serde(borrow)]
    pub records: BTreeMap<String, Vec<KafkaRecord<'a>>>,
}

/// One record of a batch.
#[derive(Debug, Deserialize)]
pub struct KafkaRecord<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    #[serde(default)]
    timestamp: Lenient<i64>,
    #[serde(borrow, default)]
    key: Lenient<Text<'a>>,
    #[serde(borrow, default)]
    value: Lenient<Text<'a>>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
}

/// A string, borrowed where it has no escapes.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> KafkaEvent<'a> {
    /// Reads the event of an invocation.
    ///
    /// # Errors
    /// Where another service sent it, or nobody did: success would lose its records.
    pub fn read(json: &'a str) -> Result<Self, NotKafka> {
        // The text of the error may quote the event.
        let event: Self = serde_json::from_str(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            NotKafka(format!("it has no records by partition (line {line}, column {column})"))
        })?;
        match &event.event_source.0 {
            Some(Text(source)) if EVENT_SOURCES.contains(&source.as_ref()) => Ok(event),
            Some(_) => Err(NotKafka("its eventSource is another".to_owned())),
            None => Err(NotKafka("it has no eventSource".to_owned())),
        }
    }

    /// The topics of the batch, by the names of its partitions.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(|key| key.rsplit_once('-').map_or(key.as_str(), |(topic, _)| topic))
    }
}

impl KafkaRecord<'_> {
    /// When the record was written, in milliseconds since 1970; `None` where it carries no time.
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp.0.filter(|timestamp| *timestamp >= 0)
    }

    /// The key's bytes.
    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(self.key.0.as_ref()?.0.as_bytes()).ok()
    }

    /// The value's bytes, or why there are none.
    pub(crate) fn value(&self) -> Result<Vec<u8>, String> {
        let Text(encoded) = self.value.0.as_ref().ok_or("the record has no value")?;
        BASE64_STANDARD
            .decode(encoded.as_bytes())
            .map_err(|error| format!("the record's value is not base64: {error}"))
    }

    /// The bytes of the first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        // Each byte is a number of its own, so headers are read only for a name that is there.
        let headers = self.headers.map(RawValue::get).filter(|json| json.contains(name))?;
        let headers: Vec<BTreeMap<Cow<'_, str>, &RawValue>> = serde_json::from_str(headers).ok()?;
        let bytes = headers.iter().find_map(|header| header.get(name))?;
        let bytes: Vec<i16> = serde_json::from_str(bytes.get()).ok()?;
        // Kafka's header bytes come as Java bytes, from -128 to 127; other tools send 0 to 255.
        bytes.iter().map(|byte| u8::try_from(byte.rem_euclid(256)).ok()).collect()
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &'de RawValue = Deserialize::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// Identifies a record in the response: `topic-partition` and offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemIdentifier {
    /// The key under which the record was listed.
    pub partition: String,
    /// The record's offset.
    pub offset: i64,
}

/// The partial batch response: empty where everything succeeded.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The records to redeliver.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// One record to redeliver.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its identifier.
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

    /// Whether nothing is to be redelivered.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A record with these changes, as the mapping spells it.
    fn record(changes: &Value) -> String {
        let mut record = json!({
            "topic": "order.created", "partition": 3, "offset": 42, "timestamp": 1_545_084_650_987_i64,
            "timestampType": "CREATE_TIME", "key": "b3JkLTE=", "value": "e30=",
            "headers": [{ "traceparent": [48, 48] }],
        });
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        record.to_string()
    }

    fn read(record: &str) -> KafkaRecord<'_> {
        serde_json::from_str(record).expect("the record is read")
    }

    #[test]
    fn a_record_is_read_with_its_time_key_value_and_headers() {
        let record = record(&json!({}));
        let record = read(&record);
        assert_eq!(record.timestamp_ms(), Some(1_545_084_650_987));
        assert_eq!(record.key().as_deref(), Some(&b"ord-1"[..]));
        assert_eq!(record.value().unwrap(), b"{}");
        assert_eq!(record.header("traceparent").as_deref(), Some(&b"00"[..]));
    }

    #[test]
    fn an_odd_attribute_counts_as_missing() {
        for odd in [json!(null), json!({}), json!([[7]]), json!("\u{1}"), json!(true)] {
            let record = record(&json!({
                "topic": null, "timestamp": odd, "key": odd, "value": odd, "headers": odd,
            }));
            let record = read(&record);
            assert_eq!(record.timestamp_ms(), None);
            assert_eq!(record.key(), None);
            assert!(record.value().is_err());
            assert_eq!(record.header("traceparent"), None);
        }
        assert_eq!(read(&record(&json!({ "timestamp": -1 }))).timestamp_ms(), None);
    }

    #[test]
    fn header_bytes_are_read_signed_and_unsigned() {
        for bytes in [json!([-61, -87]), json!([195, 169])] {
            let record = record(&json!({ "headers": [{ "odd": null }, { "name": bytes }] }));
            let record = read(&record);
            assert_eq!(record.header("name").as_deref(), Some("é".as_bytes()));
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
