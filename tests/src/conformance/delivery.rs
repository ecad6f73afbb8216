//! Batches in the form of an MSK event-source mapping, and the failures in a response.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// The offset of the first record of each partition.
const FIRST_OFFSET: usize = 40;

/// Texts that only a conflicting event contains.
pub const CONFLICT: [&str; 2] = ["conflictingField", "2001-02-03T04:05:06.789Z"];

/// A record read from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// A record whose value is not JSON.
    pub fn malformed(topic: &str) -> Self {
        let value = b"not JSON \xff".to_vec();
        Self { topic: topic.to_owned(), key: None, value, headers: Vec::new() }
    }

    /// The order's id; `None` for a record that is not an event.
    pub fn order_id(&self) -> Option<String> {
        let event: Value = serde_json::from_slice(&self.value).ok()?;
        Some(event["orderId"].as_str()?.to_owned())
    }

    /// The event with another timestamp and an additional field in its payload.
    pub fn conflicting(&self) -> Self {
        let mut event: Value = serde_json::from_slice(&self.value).expect("an event is JSON");
        let [field, timestamp] = CONFLICT;
        event["payload"][field] = true.into();
        event["timestamp"] = timestamp.into();
        Self { value: event.to_string().into_bytes(), ..self.clone() }
    }

    fn delivered(&self, partition: usize, offset: usize) -> Value {
        let headers = self.headers.iter().map(|(name, value)| {
            let bytes = value.as_ref().map(|it| it.iter().map(|byte| byte.cast_signed()).collect());
            json!({ name: bytes.map(|it: Vec<i8>| json!(it)) })
        });
        json!({
            "topic": self.topic, "partition": partition, "offset": offset,
            "timestamp": 1_770_379_200_000_i64, "timestampType": "CREATE_TIME",
            "key": self.key.as_ref().map(|key| BASE64_STANDARD.encode(key)),
            "value": BASE64_STANDARD.encode(&self.value),
            "headers": headers.collect::<Vec<_>>(),
        })
    }
}

/// Partition and index of a record in its batch.
pub type Place = (usize, usize);

/// A batch of one topic: its records by partition.
#[derive(Debug, Clone)]
pub struct Batch {
    pub topic: &'static str,
    pub partitions: Vec<Vec<Record>>,
}

impl Batch {
    /// The Lambda event.
    pub fn event(&self) -> Value {
        let mut by_partition = Map::new();
        let partitions = self.partitions.iter().enumerate();
        for (partition, records) in partitions.filter(|(_, records)| !records.is_empty()) {
            let places = records.iter().enumerate();
            let records = places.map(|(place, it)| it.delivered(partition, FIRST_OFFSET + place));
            by_partition.insert(self.partition_key(partition), records.collect());
        }
        json!({
            "eventSource": "aws:kafka",
            "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/orders/1",
            "bootstrapServers": "b-1:9098",
            "records": by_partition,
        })
    }

    /// The records that the response reports as failed.
    pub fn failures(&self, response: &Value) -> BTreeSet<Place> {
        let reported = response["batchItemFailures"].as_array().into_iter().flatten();
        reported.map(|failure| self.place(&failure["itemIdentifier"])).collect()
    }

    fn place(&self, identifier: &Value) -> Place {
        let key = identifier["partition"].as_str().expect("a failure has a partition");
        let offset = identifier["offset"].as_u64().expect("a failure has an offset");
        let offset = usize::try_from(offset).expect("an offset of the batch");
        let mut partitions = 0..self.partitions.len();
        let partition = partitions.find(|it| self.partition_key(*it) == key);
        let partition = partition.expect("a partition of the batch");
        let place = offset.checked_sub(FIRST_OFFSET).expect("an offset of the batch");
        assert!(place < self.partitions[partition].len(), "offset {offset} is not in the batch");
        (partition, place)
    }

    fn partition_key(&self, partition: usize) -> String {
        format!("{}-{partition}", self.topic)
    }
}
