//! Kafka records, and the events of an event-source mapping.

use std::collections::BTreeMap;

use axum::body::Bytes;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rdkafka::message::{Headers, Message};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    pub(crate) fn new(message: &impl Message) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            value: message.payload().unwrap_or_default().to_owned(),
            headers: headers
                .map(|it| (it.key.to_owned(), it.value.unwrap_or_default().to_owned()))
                .collect(),
        }
    }

    fn json(&self) -> Value {
        let headers: Vec<Value> =
            self.headers.iter().map(|(name, value)| json!({ name.as_str(): value })).collect();
        json!({
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": self.timestamp_ms,
            "timestampType": "CREATE_TIME",
            "key": BASE64_STANDARD.encode(&self.key),
            "value": BASE64_STANDARD.encode(&self.value),
            "headers": headers,
        })
    }
}

/// The event for a batch of records.
pub(crate) fn invocation(batch: &[Record]) -> Bytes {
    let mut partitions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in batch {
        let partition = format!("{}-{}", record.topic, record.partition);
        partitions.entry(partition).or_default().push(record.json());
    }
    let event = json!({
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/orders/bench-1",
        "bootstrapServers": "b-1.orders.example.kafka.us-east-1.amazonaws.com:9098",
        "records": partitions,
    });
    event.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_groups_its_records_by_partition() {
        let record = |partition, offset| Record {
            topic: "order.created".to_owned(),
            partition,
            offset,
            timestamp_ms: 7,
            key: "ord-1".to_owned(),
            value: b"{}".to_vec(),
            headers: vec![("ce_type".to_owned(), vec![79])],
        };
        let event = invocation(&[record(0, 1), record(3, 5), record(0, 2)]);
        let event: Value = serde_json::from_slice(&event).unwrap();
        let partition = &event["records"]["order.created-0"];
        assert_eq!(partition.as_array().unwrap().len(), 2);
        assert_eq!(partition[1]["offset"], 2);
        assert_eq!(partition[0]["value"], "e30=");
        assert_eq!(partition[0]["headers"], json!([{ "ce_type": [79] }]));
        assert_eq!(event["records"]["order.created-3"].as_array().unwrap().len(), 1);
    }
}
