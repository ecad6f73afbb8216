//! Invokes the function with a batch, and reads its response.

use serde::Deserialize;

use super::Shared;
use super::event::{EventEncoder, Record};
use crate::invoke::{InvokeError, InvokeResponse};

pub(super) enum Invocation {
    /// The function was invoked, or the event exceeds Lambda's limit.
    Completed { result: BatchResult, function_failed: bool },
    /// The function was not reached: this does not count as an attempt.
    NotReached(InvokeError),
}

/// Invokes the function of the mapping with these records of one partition.
pub(super) async fn invoke(
    shared: &Shared,
    encoder: &EventEncoder,
    records: &[Record],
) -> Invocation {
    let mapping = &shared.mapping;
    shared.counts.invoked();
    let response = shared.invoke.invoke(&mapping.function, encoder.event(records)).await;
    let (result, function_failed) = match response {
        Ok(InvokeResponse::Returned(body)) if mapping.reports_item_failures => {
            (read_response(&body, &encoder.partition_key, records), false)
        }
        // Without ReportBatchItemFailures any response means success.
        Ok(InvokeResponse::Returned(_)) => (BatchResult::Done, false),
        Ok(InvokeResponse::Failed(error)) => {
            tracing::warn!(
                mapping = mapping.logical_id,
                partition = encoder.partition_key,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchResult {
    /// All records are finished.
    Done,
    /// The records before this index are finished; the others must be retried.
    FailedFrom(usize),
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
/// The lowest offset in it is the checkpoint. A malformed response, or one that names a record
/// outside the batch, fails the whole batch.
fn read_response(body: &[u8], partition_key: &str, records: &[Record]) -> BatchResult {
    if body.trim_ascii().is_empty() {
        return BatchResult::Done;
    }
    let Ok(response) = serde_json::from_slice::<Option<BatchResponse>>(body) else {
        return BatchResult::Failed;
    };
    let failures = response.and_then(|response| response.batch_item_failures).unwrap_or_default();
    let mut first: Option<usize> = None;
    for Failure { item_identifier } in failures {
        let index = records
            .iter()
            .position(|record| record.offset == item_identifier.offset)
            .filter(|_| item_identifier.partition == partition_key);
        let Some(index) = index else { return BatchResult::Failed };
        first = Some(first.map_or(index, |first| first.min(index)));
    }
    first.map_or(BatchResult::Done, BatchResult::FailedFrom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> BatchResult {
        let record = |offset| Record {
            offset,
            timestamp_ms: 0,
            ages_from_ms: None,
            key: None,
            json: String::new(),
        };
        read_response(body.as_bytes(), "a.topic-0", &[record(10), record(11), record(12)])
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
    fn the_lowest_failed_offset_is_the_checkpoint() {
        let body = r#"{"batchItemFailures":[
            {"itemIdentifier":{"partition":"a.topic-0","offset":12}},
            {"itemIdentifier":{"partition":"a.topic-0","offset":11}}]}"#;
        assert_eq!(read(body), BatchResult::FailedFrom(1));
    }

    #[test]
    fn a_malformed_response_fails_the_whole_batch() {
        for body in [
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"a.topic-0","offset":99}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"a.topic-1","offset":11}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"11"}]}"#,
            r#""done""#,
            "not json",
        ] {
            assert_eq!(read(body), BatchResult::Failed, "{body}");
        }
    }
}
