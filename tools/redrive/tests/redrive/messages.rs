//! Messages of the dead-letter topic, as Lambda writes them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// A message with these records.
pub(crate) fn message(records: &[Value]) -> Value {
    let mut partitions = serde_json::Map::new();
    for record in records {
        let name = format!("{}-{}", record["topic"].as_str().unwrap(), record["partition"]);
        let list = partitions.entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(record.clone());
    }
    json!({
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:validator",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1001,
        },
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": "2026-02-06T12:00:00.000Z",
        "KafkaBatchInfo": { "batchSize": records.len() },
        "payload": { "eventSource": "aws:kafka", "records": partitions },
    })
}

pub(crate) fn record(topic: &str, partition: i32, offset: i64, key: &str, value: &str) -> Value {
    json!({
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": jiff::Timestamp::now().as_millisecond(),
        "timestampType": "CREATE_TIME",
        "key": BASE64_STANDARD.encode(key),
        "value": BASE64_STANDARD.encode(value),
        "headers": [],
    })
}

pub(crate) fn bytes(text: &Value) -> Vec<u8> {
    text.to_string().into_bytes()
}
