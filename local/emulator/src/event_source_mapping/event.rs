//! Encodes the records of a batch as a Lambda event, as MSK's mapping does, and computes its size.

use axum::body::Bytes;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::Timestamp;
use rdkafka::message::{Headers, Message};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Maximum bytes of an event. MSK mappings close a batch at Lambda's limit.
pub(super) const EVENT_LIMIT: usize = 6 * 1024 * 1024;
/// The `eventSourceArn` of local events.
pub(super) const CLUSTER_ARN: &str =
    "arn:aws:kafka:us-east-1:000000000000:cluster/local/00000000-0000-0000-0000-000000000000-1";

/// The constant part of every event of a mapping.
#[derive(Debug, Clone)]
pub(super) struct EventEncoder {
    topic: String,
    head: String,
}

const TAIL: &str = "}}";

impl EventEncoder {
    pub(super) fn new(bootstrap_servers: &str, topic: &str) -> Self {
        let servers = serde_json::Value::from(bootstrap_servers);
        let head = format!(
            r#"{{"eventSource":"aws:kafka","eventSourceArn":"{CLUSTER_ARN}","bootstrapServers":{servers},"records":{{"#
        );
        Self { topic: topic.to_owned(), head }
    }

    /// `topic-partition`, as in events and responses.
    pub(super) fn partition_key(&self, partition: i32) -> String {
        format!("{}-{partition}", self.topic)
    }

    fn json_key(&self, partition: i32) -> String {
        serde_json::Value::from(self.partition_key(partition)).to_string()
    }

    /// Bytes of an event without records.
    pub(super) fn empty_size(&self) -> usize {
        self.head.len().saturating_add(TAIL.len())
    }

    /// Bytes that the first record of a partition adds to an event besides its own.
    pub(super) fn partition_size(&self, partition: i32) -> usize {
        // The key as JSON, the colon, the brackets and the comma.
        self.json_key(partition).len().saturating_add(4)
    }

    /// `records` are ordered by partition.
    pub(super) fn event(&self, records: &[Record]) -> Bytes {
        let size: usize = records.iter().map(Record::size).sum();
        let mut event = String::with_capacity(self.empty_size().saturating_add(size));
        event.push_str(&self.head);
        for records in records.chunk_by(|one, next| one.partition == next.partition) {
            let Some(first) = records.first() else { continue };
            if !event.ends_with('{') {
                event.push(',');
            }
            event.push_str(
                &serde_json::Value::from(self.partition_key(first.partition)).to_string(),
            );
            event.push_str(":[");
            for record in records {
                event.push_str(&record.json);
                event.push(',');
            }
            event.pop();
            event.push(']');
        }
        event.push_str(TAIL);
        event.into()
    }
}

/// A record, encoded once for all deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The offset to read next once the record is finished: after it, and after the filtered records
    /// that follow it.
    pub(super) next_offset: i64,
    /// No filter of the mapping matches it, so it is not delivered.
    pub(super) is_filtered: bool,
    /// Milliseconds since the epoch; -1 if the record has no timestamp.
    pub(super) timestamp_ms: i64,
    /// Start of its age, in milliseconds since the epoch; `None` if it has no timestamp.
    pub(super) ages_from_ms: Option<i64>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) json: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    timestamp_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    value: Option<String>,
    headers: Vec<EventHeader<'a>>,
}

/// An object with one field: the value is a list of signed bytes.
struct EventHeader<'a> {
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl Serialize for EventHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Option<Vec<i8>> =
            self.value.map(|value| value.iter().map(|byte| byte.cast_signed()).collect());
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry(self.name, &bytes)?;
        object.end()
    }
}

impl Record {
    /// Bytes in an event, with the comma.
    pub(super) fn size(&self) -> usize {
        self.json.len().saturating_add(1)
    }

    /// The age starts at the broker's timestamp, or at `read_at_ms` if a producer set it:
    /// `a_timestamp_of_a_producer_never_expires_a_record`.
    pub(super) fn of(message: &impl Message, read_at_ms: i64) -> Self {
        let (timestamp_type, timestamp_ms) = match message.timestamp() {
            Timestamp::NotAvailable => ("NO_TIMESTAMP_TYPE", -1),
            Timestamp::CreateTime(milliseconds) => ("CREATE_TIME", milliseconds),
            Timestamp::LogAppendTime(milliseconds) => ("LOG_APPEND_TIME", milliseconds),
        };
        let ages_from_ms = match message.timestamp() {
            Timestamp::NotAvailable => None,
            // The embedded broker always keeps the producer's timestamp.
            Timestamp::CreateTime(_) => Some(read_at_ms),
            Timestamp::LogAppendTime(milliseconds) => Some(milliseconds),
        };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let record = EventRecord {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: timestamp_ms,
            timestamp_type,
            key: message.key().map(|key| BASE64_STANDARD.encode(key)),
            value: message.payload().map(|value| BASE64_STANDARD.encode(value)),
            headers: headers
                .map(|header| EventHeader { name: header.key, value: header.value })
                .collect(),
        };
        Self {
            partition: message.partition(),
            offset: message.offset(),
            next_offset: message.offset().saturating_add(1),
            is_filtered: false,
            timestamp_ms,
            ages_from_ms,
            key: message.key().map(ToOwned::to_owned),
            // Cannot fail: strings and numbers only.
            json: serde_json::to_string(&record).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
impl Record {
    /// A record without content.
    pub(super) fn test(partition: i32, offset: i64) -> Self {
        Self {
            partition,
            offset,
            next_offset: offset + 1,
            is_filtered: false,
            timestamp_ms: 0,
            ages_from_ms: None,
            key: None,
            json: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn records_are_listed_under_their_partition_in_order() {
        let encoder = EventEncoder::new("b-1:9098,b-2:9098", "a.topic");
        let record = |partition, offset| Record {
            json: format!(r#"{{"offset":{offset}}}"#),
            ..Record::test(partition, offset)
        };
        let records = [record(7, 1), record(7, 2), record(12, 1)];
        let event: Value = serde_json::from_slice(&encoder.event(&records)).unwrap();
        assert_eq!(
            event,
            json!({
                "eventSource": "aws:kafka",
                "eventSourceArn": CLUSTER_ARN,
                "bootstrapServers": "b-1:9098,b-2:9098",
                "records": {
                    "a.topic-7": [{ "offset": 1 }, { "offset": 2 }],
                    "a.topic-12": [{ "offset": 1 }],
                }
            })
        );
        assert_eq!(encoder.event(&[]).len(), encoder.empty_size());
        let sizes: usize = records.iter().map(Record::size).sum();
        let partitions = encoder.partition_size(7) + encoder.partition_size(12);
        let bound = encoder.empty_size() + sizes + partitions;
        assert!((bound - 5..=bound).contains(&encoder.event(&records).len()));
    }

    fn message(
        key: Option<&str>,
        value: Option<&str>,
        timestamp: Timestamp,
        headers: Option<OwnedHeaders>,
    ) -> OwnedMessage {
        OwnedMessage::new(
            value.map(|value| value.as_bytes().to_vec()),
            key.map(|key| key.as_bytes().to_vec()),
            "a.topic".to_owned(),
            timestamp,
            3,
            42,
            headers,
        )
    }

    #[test]
    fn the_age_starts_with_the_brokers_timestamp_never_with_the_producers() {
        let ages_from =
            |timestamp| Record::of(&message(None, None, timestamp, None), 70).ages_from_ms;
        assert_eq!(ages_from(Timestamp::LogAppendTime(5)), Some(5));
        assert_eq!(ages_from(Timestamp::CreateTime(5)), Some(70));
        assert_eq!(ages_from(Timestamp::NotAvailable), None);
    }

    #[test]
    fn a_record_is_encoded_as_msk_sends_it() {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "ce_type", value: Some(&[79_u8, 255][..]) })
            .insert(Header { key: "empty", value: None::<&[u8]> });
        let timestamp = Timestamp::CreateTime(1_545_084_650_987);
        let record = Record::of(&message(Some("key-1"), Some("{}"), timestamp, Some(headers)), 0);
        let encoded: Value = serde_json::from_str(&record.json).unwrap();
        assert_eq!(
            encoded,
            json!({
                "topic": "a.topic",
                "partition": 3,
                "offset": 42,
                "timestamp": 1_545_084_650_987_i64,
                "timestampType": "CREATE_TIME",
                "key": "a2V5LTE=",
                "value": "e30=",
                "headers": [{ "ce_type": [79, -1] }, { "empty": null }]
            })
        );
        assert_eq!(record.key.as_deref(), Some(&b"key-1"[..]));
    }

    #[test]
    fn absent_key_value_timestamp_and_headers_are_encoded() {
        let record = Record::of(&message(None, None, Timestamp::NotAvailable, None), 0);
        let encoded: Value = serde_json::from_str(&record.json).unwrap();
        assert_eq!(encoded.get("key"), None);
        assert_eq!(encoded["value"], Value::Null);
        assert_eq!(encoded["timestamp"], -1);
        assert_eq!(encoded["headers"], json!([]));
    }
}
