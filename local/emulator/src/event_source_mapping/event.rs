//! Encodes a batch of one partition as a Lambda event, and computes its size.

use axum::body::Bytes;

use super::record::Record;

/// Maximum bytes of an event. MSK mappings close a batch at Lambda's limit.
pub(super) const EVENT_LIMIT: usize = 6 * 1024 * 1024;
/// The `eventSourceArn` of local events.
pub(super) const CLUSTER_ARN: &str =
    "arn:aws:kafka:us-east-1:000000000000:cluster/local/00000000-0000-0000-0000-000000000000-1";

/// The constant part of every event of one partition.
#[derive(Debug, Clone)]
pub(super) struct EventFrame {
    /// `topic-partition`, as in events and responses.
    pub(super) partition_key: String,
    head: String,
}

const TAIL: &str = "]}}";

impl EventFrame {
    pub(super) fn new(bootstrap_servers: &str, topic: &str, partition: i32) -> Self {
        let partition_key = format!("{topic}-{partition}");
        let servers = serde_json::Value::from(bootstrap_servers);
        let key = serde_json::Value::from(partition_key.as_str());
        let head = format!(
            r#"{{"eventSource":"aws:kafka","eventSourceArn":"{CLUSTER_ARN}","bootstrapServers":{servers},"records":{{{key}:["#
        );
        Self { partition_key, head }
    }

    /// Bytes of an event without records.
    pub(super) fn empty_size(&self) -> usize {
        self.head.len().saturating_add(TAIL.len())
    }

    pub(super) fn event(&self, records: &[Record]) -> Bytes {
        let records_size: usize = records.iter().map(Record::size).sum();
        let mut event = String::with_capacity(self.empty_size().saturating_add(records_size));
        event.push_str(&self.head);
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                event.push(',');
            }
            event.push_str(&record.json);
        }
        event.push_str(TAIL);
        event.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn records_are_listed_under_their_partition_in_order() {
        let frame = EventFrame::new("b-1:9098,b-2:9098", "a.topic", 7);
        let record = |offset| Record {
            offset,
            timestamp_ms: 0,
            ages_from_ms: None,
            key: None,
            json: format!(r#"{{"offset":{offset}}}"#),
        };
        let event: Value = serde_json::from_slice(&frame.event(&[record(1), record(2)])).unwrap();
        assert_eq!(
            event,
            json!({
                "eventSource": "aws:kafka",
                "eventSourceArn": CLUSTER_ARN,
                "bootstrapServers": "b-1:9098,b-2:9098",
                "records": { "a.topic-7": [{ "offset": 1 }, { "offset": 2 }] }
            })
        );
        assert_eq!(frame.event(&[]).len(), frame.empty_size());
    }
}
