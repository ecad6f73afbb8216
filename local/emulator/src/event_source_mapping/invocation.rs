//! Invokes the function with a batch, and reads its response.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Shared;
use super::event::{EVENT_LIMIT, EventEncoder, Record};
use super::retry::partitions_of;
use crate::invoke::{InvokeError, InvokeResponse};

pub(super) enum Invocation {
    /// The function was invoked, or the event exceeds Lambda's limit.
    Completed { result: BatchResult, function_failed: bool },
    /// The function was not reached: this does not count as an attempt.
    NotReached(InvokeError),
}

/// Invokes the function of the mapping with these records.
pub(super) async fn invoke(shared: &Shared, records: &[Record]) -> Invocation {
    let mapping = &shared.mapping;
    let event = shared.encoder.event(records);
    if event.len() > EVENT_LIMIT {
        return Invocation::Completed { result: BatchResult::TooLarge, function_failed: false };
    }
    shared.counts.invoked();
    let response = shared.invoke.invoke(&mapping.function, event).await;
    let (result, function_failed) = match response {
        Ok(InvokeResponse::Returned(body)) if mapping.reports_item_failures => {
            (read_response(&body, &shared.encoder, records), false)
        }
        // Without ReportBatchItemFailures any response means success.
        Ok(InvokeResponse::Returned(_)) => (BatchResult::Done, false),
        Ok(InvokeResponse::Failed(error)) => {
            tracing::warn!(
                mapping = mapping.logical_id,
                partitions = ?partitions_of(records),
                records = records.len(),
                error = error.error_message,
                "the function failed"
            );
            (BatchResult::Failed, true)
        }
        Err(InvokeError::TooLarge { .. }) => (BatchResult::TooLarge, false),
        Err(error) => return Invocation::NotReached(error),
    };
    Invocation::Completed { result, function_failed }
}

/// The result of one invocation with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BatchResult {
    /// All records are finished.
    Done,
    /// By partition: the records before this offset are finished; the others must be retried. A
    /// partition that is absent is finished.
    FailedFrom(BTreeMap<i32, i64>),
    /// All records failed.
    Failed,
    /// Not invoked: the event exceeds Lambda's limit.
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: Identifier,
}

#[derive(Deserialize)]
struct Identifier {
    partition: String,
    offset: i64,
}

/// Reads the response to a mapping with `ReportBatchItemFailures`.
///
/// The lowest offset of a partition in it is the checkpoint. A malformed response, or one that names
/// a record outside the batch, fails the whole batch.
fn read_response(body: &[u8], encoder: &EventEncoder, records: &[Record]) -> BatchResult {
    if body.trim_ascii().is_empty() {
        return BatchResult::Done;
    }
    let Ok(response) = serde_json::from_slice::<Option<BatchResponse>>(body) else {
        return BatchResult::Failed;
    };
    let failures = response.and_then(|response| response.batch_item_failures).unwrap_or_default();
    let partitions: BTreeMap<String, i32> = partitions_of(records)
        .into_iter()
        .map(|partition| (encoder.partition_key(partition), partition))
        .collect();
    let mut first_failed: BTreeMap<i32, i64> = BTreeMap::new();
    for Failure { item_identifier: Identifier { partition, offset } } in failures {
        let position = partitions.get(&partition).map(|partition| (*partition, offset));
        let in_batch =
            records.iter().any(|record| position == Some((record.partition, record.offset)));
        let Some((partition, _)) = position.filter(|_| in_batch) else {
            return BatchResult::Failed;
        };
        let first = first_failed.entry(partition).or_insert(offset);
        *first = offset.min(*first);
    }
    if first_failed.is_empty() { BatchResult::Done } else { BatchResult::FailedFrom(first_failed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> BatchResult {
        let encoder = EventEncoder::new("b:9092", "a.topic");
        let records = [(0, 10), (0, 11), (0, 12), (3, 10)]
            .map(|(partition, offset)| Record::test(partition, offset));
        read_response(body.as_bytes(), &encoder, &records)
    }

    #[test]
    fn nothing_reported_is_success() {
        for body in
            ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#]
        {
            assert_eq!(read(body), BatchResult::Done, "{body}");
        }
    }

    #[test]
    fn the_lowest_failed_offset_of_each_partition_is_its_checkpoint() {
        let body = r#"{"batchItemFailures":[
            {"itemIdentifier":{"partition":"a.topic-0","offset":12}},
            {"itemIdentifier":{"partition":"a.topic-3","offset":10}},
            {"itemIdentifier":{"partition":"a.topic-0","offset":11}}]}"#;
        assert_eq!(read(body), BatchResult::FailedFrom([(0, 11), (3, 10)].into()));
    }

    #[test]
    fn a_malformed_response_fails_the_whole_batch() {
        for body in [
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"a.topic-0","offset":99}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"a.topic-1","offset":11}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"a.topic-3","offset":11}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"11"}]}"#,
            r#""done""#,
            "not json",
        ] {
            assert_eq!(read(body), BatchResult::Failed, "{body}");
        }
    }
}
