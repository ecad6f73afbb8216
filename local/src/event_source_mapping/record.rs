//! How does a Kafka record look in the event of a mapping?

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::Timestamp;
use rdkafka::message::{Headers, Message};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A record, already spelled as the event carries it: a retry spells nothing again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: i64,
    /// Milliseconds since the epoch, or -1 where the record has no time.
    pub(super) timestamp_ms: i64,
    /// When its age begins, in milliseconds since the epoch; `None` where it has no time.
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

/// One header: an object with a single field, whose value is a list of signed bytes.
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
    /// Bytes it takes in an event, the comma before the next included.
    pub(super) fn size(&self) -> usize {
        self.json.len().saturating_add(1)
    }

    /// Its age begins when the broker wrote it or, where the time is only its producer's claim, when
    /// it was read: `a_time_that_a_producer_made_up_gives_no_record_up`.
    pub(super) fn of(message: &impl Message, read_at_ms: i64) -> Self {
        let (timestamp_type, timestamp_ms) = match message.timestamp() {
            Timestamp::NotAvailable => ("NO_TIMESTAMP_TYPE", -1),
            Timestamp::CreateTime(milliseconds) => ("CREATE_TIME", milliseconds),
            Timestamp::LogAppendTime(milliseconds) => ("LOG_APPEND_TIME", milliseconds),
        };
        let ages_from_ms = match message.timestamp() {
            Timestamp::NotAvailable => None,
            // The embedded broker keeps the producer's time, whatever its topics should do.
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
            offset: message.offset(),
            timestamp_ms,
            ages_from_ms,
            key: message.key().map(ToOwned::to_owned),
            // Texts and numbers always have a spelling in JSON.
            json: serde_json::to_string(&record).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
    use serde_json::{Value, json};

    use super::*;

    fn message(
        key: Option<&str>,
        value: Option<&str>,
        timestamp: Timestamp,
        headers: Option<OwnedHeaders>,
    ) -> OwnedMessage {
        OwnedMessage::new(
            value.map(|value| value.as_bytes().to_vec()),
            key.map(|key| key.as_bytes().to_vec()),
            "order.created".to_owned(),
            timestamp,
            3,
            42,
            headers,
        )
    }

    #[test]
    fn a_record_ages_from_its_time_on_the_broker_and_never_from_its_producers() {
        let ages_from =
            |timestamp| Record::of(&message(None, None, timestamp, None), 70).ages_from_ms;
        assert_eq!(ages_from(Timestamp::LogAppendTime(5)), Some(5));
        assert_eq!(ages_from(Timestamp::CreateTime(5)), Some(70));
        assert_eq!(ages_from(Timestamp::NotAvailable), None);
    }

    #[test]
    fn a_record_is_spelled_as_msk_sends_it() {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "ce_type", value: Some(&[79_u8, 255][..]) })
            .insert(Header { key: "empty", value: None::<&[u8]> });
        let timestamp = Timestamp::CreateTime(1_545_084_650_987);
        let record = Record::of(&message(Some("order-1"), Some("{}"), timestamp, Some(headers)), 0);
        let spelled: Value = serde_json::from_str(&record.json).unwrap();
        assert_eq!(
            spelled,
            json!({
                "topic": "order.created",
                "partition": 3,
                "offset": 42,
                "timestamp": 1_545_084_650_987_i64,
                "timestampType": "CREATE_TIME",
                "key": "b3JkZXItMQ==",
                "value": "e30=",
                "headers": [{ "ce_type": [79, -1] }, { "empty": null }]
            })
        );
        assert_eq!(record.key.as_deref(), Some(&b"order-1"[..]));
    }

    #[test]
    fn a_record_without_key_value_time_and_headers_says_so() {
        let record = Record::of(&message(None, None, Timestamp::NotAvailable, None), 0);
        let spelled: Value = serde_json::from_str(&record.json).unwrap();
        assert_eq!(spelled.get("key"), None);
        assert_eq!(spelled["value"], Value::Null);
        assert_eq!(spelled["timestamp"], -1);
        assert_eq!(spelled["headers"], json!([]));
    }
}
