//! The event that a Kafka event-source mapping sends, and the response it reads.
//!
//! A malformed record does not affect its neighbours: only its position (partition and offset) is
//! required, every other attribute may be missing or malformed. The response reports a partition
//! from its first failure on, which is correct whether the mapping takes the list as records to
//! redeliver or as the offset to resume from.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{TraceContext, object};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The event sources of Kafka: MSK, and self-managed clusters.
const EVENT_SOURCES: [&str; 2] = ["aws:kafka", "SelfManagedKafka"];

/// An event that is not a batch of Kafka records.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the event as a batch of Kafka records: {0} (invoke the function through an \
     event-source mapping of template.yaml, or with a file of events/)"
)]
pub struct NotKafka(&'static str);

const NO_RECORDS: &str = "it has no records by partition";

/// A batch: records by `topic-partition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaEvent {
    #[serde(default)]
    event_source: Option<Box<RawValue>>,
    /// The records of each partition, in the order of their offsets.
    #[serde(default)]
    records: Option<BTreeMap<String, Vec<KafkaRecord>>>,
}

/// One record of a batch. Attributes stay JSON text, so that a malformed one does not fail the
/// batch.
#[derive(Debug, Deserialize, Serialize)]
pub struct KafkaRecord {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    #[serde(default)]
    timestamp: Option<Box<RawValue>>,
    #[serde(default)]
    key: Option<Box<RawValue>>,
    #[serde(default)]
    value: Option<Box<RawValue>>,
    #[serde(default)]
    headers: Option<Box<RawValue>>,
}

impl KafkaEvent {
    /// Reads the event of an invocation.
    ///
    /// # Errors
    /// If it is not from Kafka: success would lose its records.
    pub fn read<'de>(payload: impl Deserializer<'de>) -> Result<Self, NotKafka> {
        // The error text may quote the event.
        let event = Self::deserialize(payload).map_err(|_| NotKafka(NO_RECORDS))?;
        match string(event.event_source.as_deref()) {
            Some(source) if !EVENT_SOURCES.contains(&source.as_ref()) => {
                Err(NotKafka("its eventSource is not Kafka"))
            }
            Some(_) if event.records.is_none() => Err(NotKafka(NO_RECORDS)),
            Some(_) => Ok(event),
            None => Err(NotKafka("it has no eventSource")),
        }
    }

    /// The records of each partition, in the order of their offsets.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&str, &[KafkaRecord])> {
        let partitions = self.records.iter().flatten();
        partitions.map(|(name, records)| (name.as_str(), records.as_slice()))
    }

    /// The topics of the batch, by the names of its partitions.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &str> {
        self.partitions().map(|(name, _)| topic_of(name))
    }

    /// The records in the order of the batch, each with its topic.
    pub(crate) fn topic_records(&self) -> impl Iterator<Item = (&str, &KafkaRecord)> {
        let partitions = self.partitions();
        partitions.flat_map(|(name, records)| records.iter().map(move |it| (topic_of(name), it)))
    }
}

/// The topic in the name of a partition, `topic-partition`.
fn topic_of(partition: &str) -> &str {
    partition.rsplit_once('-').map_or(partition, |(topic, _)| topic)
}

impl KafkaRecord {
    /// The record's timestamp in milliseconds since 1970; `None` if it has none.
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        serde_json::from_str(self.timestamp.as_deref()?.get()).ok().filter(|ms| *ms >= 0)
    }

    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(string(self.key.as_deref())?.as_bytes()).ok()
    }

    /// The value's bytes, or the reason why they cannot be read.
    pub(crate) fn value(&self) -> Result<Vec<u8>, String> {
        let encoded = string(self.value.as_deref()).ok_or("the record has no value")?;
        BASE64_STANDARD
            .decode(encoded.as_bytes())
            .map_err(|error| format!("the record's value is not base64: {error}"))
    }

    /// The trace context in the headers; `None` also for two different `traceparent`s.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        let headers = self.headers.as_deref()?.get();
        let parents = header_texts(headers, "traceparent")?;
        let parent = parents.first().filter(|first| parents.iter().all(|it| it == *first))?;
        let states = header_texts(headers, "tracestate").map(|states| states.join(","));
        TraceContext::parse(parent, states.as_deref())
    }
}

/// The values of the headers of that name; `None` if one of them is not text.
fn header_texts(headers: &str, name: &str) -> Option<Vec<String>> {
    // Only the wanted headers are parsed, because each byte is a JSON number. A quote inside a name
    // is escaped, so a quoted match is a whole name.
    let quoted = format!("\"{name}\"");
    let values = headers.split(&quoted).skip(1);
    values.map(|rest| header_text(rest.trim_ascii_start().strip_prefix(':')?)).collect()
}

/// The value of a header at the beginning of this text.
fn header_text(json: &str) -> Option<String> {
    let bytes = Vec::<i16>::deserialize(&mut serde_json::Deserializer::from_str(json)).ok()?;
    // Kafka's header bytes come as Java bytes, from -128 to 127; other tools send 0 to 255.
    let bytes = bytes.iter().map(|byte| u8::try_from(byte.rem_euclid(256)).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

/// A string; `None` if the attribute is missing or of another type.
fn string(attribute: Option<&RawValue>) -> Option<Cow<'_, str>> {
    object::string(attribute?.get())
}

/// Identifies a record in the response: `topic-partition` and offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemIdentifier {
    /// `topic-partition`, as in the event.
    pub partition: String,
    pub offset: i64,
}

/// The partial batch response: empty if every record succeeded.
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
    pub item_identifier: ItemIdentifier,
}

impl BatchResponse {
    /// Reports every partition from its first failure on.
    ///
    /// `records` has every record of the batch, with `true` if it failed.
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

    #[must_use]
    pub fn is_success(&self) -> bool {
        self.batch_item_failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(headers: &[(&str, &str)]) -> Value {
        headers.iter().map(|(name, value)| json!({ *name: value.as_bytes() })).collect()
    }

    /// The trace of a record with these headers.
    fn trace(headers: &Value) -> Vec<(&'static str, String)> {
        let record = record(&json!({ "headers": headers }));
        let trace = read(&record).trace();
        let headers = trace.iter().flat_map(TraceContext::headers);
        headers.map(|(name, value)| (name, value.to_owned())).collect()
    }

    /// A record with these changes, as the mapping spells it.
    fn record(changes: &Value) -> String {
        let mut record = json!({
            "topic": "order.created", "partition": 3, "offset": 42, "timestamp": 1_545_084_650_987_i64,
            "timestampType": "CREATE_TIME", "key": "b3JkLTE=", "value": "e30=",
            "headers": headers(&[("traceparent", PARENT), ("tracestate", "a=1")]),
        });
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        record.to_string()
    }

    fn read(record: &str) -> KafkaRecord {
        serde_json::from_str(record).expect("the record is read")
    }

    #[test]
    fn a_record_is_read_with_its_time_key_value_and_headers() {
        let record = record(&json!({}));
        let record = read(&record);
        assert_eq!(record.timestamp_ms(), Some(1_545_084_650_987));
        assert_eq!(record.key().as_deref(), Some(&b"ord-1"[..]));
        assert_eq!(record.value().unwrap(), b"{}");
        assert_eq!(record.trace(), TraceContext::parse(PARENT, Some("a=1")));
    }

    #[test]
    fn a_malformed_attribute_counts_as_missing() {
        for malformed in [json!(null), json!({}), json!([[7]]), json!("\u{1}"), json!(true)] {
            let record = record(&json!({
                "topic": null, "timestamp": malformed, "key": malformed,
                "value": malformed, "headers": malformed,
            }));
            let record = read(&record);
            assert_eq!(record.timestamp_ms(), None);
            assert_eq!(record.key(), None);
            assert!(record.value().is_err());
            assert_eq!(record.trace(), None);
        }
        assert_eq!(read(&record(&json!({ "timestamp": -1 }))).timestamp_ms(), None);
    }

    #[test]
    fn header_bytes_are_read_signed_and_unsigned() {
        for bytes in ["[-61, -87]", "[195, 169]"] {
            assert_eq!(header_text(bytes).as_deref(), Some("é"));
        }
        for malformed in ["null", "[-61]", "[1e3]", "\"é\""] {
            assert_eq!(header_text(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn equal_traceparents_are_one_and_different_ones_are_none() {
        let other = PARENT.replace("00f067aa0ba902b7", "b7ad6b7169203331");
        let expected = [("traceparent", PARENT.to_owned()), ("tracestate", "a=1,b=2".to_owned())];
        let states = [("tracestate", "a=1"), ("tracestate", "b=2")];
        let with = |parents: &[&str]| {
            let parents = parents.iter().map(|parent| ("traceparent", *parent));
            headers(&parents.chain(states).collect::<Vec<_>>())
        };
        assert_eq!(trace(&with(&[PARENT])), expected);
        assert_eq!(trace(&with(&[PARENT, PARENT])), expected);
        assert_eq!(trace(&with(&[PARENT, &other])), []);
        assert_eq!(trace(&with(&["00"])), []);
        assert_eq!(trace(&headers(&states)), []);
        let mut malformed = with(&[PARENT]);
        malformed[1] = json!({ "tracestate": null });
        assert_eq!(trace(&malformed), expected[..1]);
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
