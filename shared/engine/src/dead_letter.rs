//! The dead letters of a function: records with a permanent error.
//!
//! A mapping gives a record up when its retries or its age have run out, and until then delivers
//! nothing behind it in its partition. A record that only a person can help is given up at once
//! instead, in Lambda's format, so that `redrive` lists it with its cause and can publish it again.
//! An order that has not ended is also published again by the recovery.

use contracts::StageName;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Publisher, TransientError, error::PermanentError, lambda_event::KafkaEvent, slot::published,
};

/// Stands beside Lambda's conditions, such as `RetriesExhausted`.
const CONDITION: &str = "PermanentError";

/// The longest letter with a copy of its record; one above has the record's position only, which is
/// all that a redrive needs. A topic takes messages of 1 MiB, and base64 makes a record longer.
const MAX_LETTER_BYTES: usize = 900_000;

/// The longest key that a letter has.
const MAX_KEY_BYTES: usize = 10_000;

/// Publishes dead letters of these records, by their place in the batch; returns the failures.
pub(crate) async fn give_up(
    publisher: &Publisher,
    event: &KafkaEvent,
    stage: StageName,
    records: Vec<(usize, PermanentError)>,
    now: Timestamp,
) -> Vec<(usize, TransientError)> {
    if records.is_empty() {
        return Vec::new();
    }
    let listed: Vec<_> = event.topic_records().collect();
    let sent = records.into_iter().filter_map(|(index, error)| {
        let (topic, record) = *listed.get(index)?;
        let key = record.key();
        let of = |value| letter(topic, record.partition, value, stage, &error, now);
        let letter = Some(of(json!(record))).filter(|it| it.len() <= MAX_LETTER_BYTES);
        let position = || json!({ "partition": record.partition, "offset": record.offset });
        let letter = letter.unwrap_or_else(|| of(position()));
        let key = key.as_deref().filter(|key| key.len() <= MAX_KEY_BYTES);
        let delivery = publisher.give_up(key, &letter);
        Some(async move { published(Some(delivery)).await.err().map(|error| (index, error)) })
    });
    join_all(sent).await.into_iter().flatten().collect()
}

/// As Lambda's documentation has it, for a Kafka topic as the destination.
fn letter(
    topic: &str,
    partition: i32,
    mut record: Value,
    stage: StageName,
    error: &PermanentError,
    now: Timestamp,
) -> String {
    if let Some(fields) = record.as_object_mut() {
        fields.insert("topic".to_owned(), topic.into());
    }
    json!({
        "requestContext": {
            "functionArn": stage.name(),
            "condition": CONDITION,
            "approximateInvokeCount": 1,
        },
        "responseContext": { "statusCode": 200, "functionError": error.to_string() },
        "version": "1.0",
        "timestamp": now.to_string(),
        "payload": {
            "eventSource": "aws:kafka",
            "records": { format!("{topic}-{partition}"): [record] },
        },
    })
    .to_string()
}
