//! What does a function's answer say about the records it was given?

use serde::Deserialize;

use super::record::Record;

/// What became of a batch that was handed to the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it is done.
    Done,
    /// Everything before this index is done; from here on it is to be tried again.
    FailedFrom(usize),
    /// All of it failed.
    Failed,
    /// It was never handed over, being larger than Lambda takes.
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
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

/// Reads the answer of a mapping with `ReportBatchItemFailures`.
///
/// The lowest offset named is a checkpoint. An answer that cannot be read, or that names a record
/// which was not in the batch, fails the batch as a whole.
pub(super) fn verdict(body: &[u8], partition_key: &str, records: &[Record]) -> Verdict {
    if body.trim_ascii().is_empty() {
        return Verdict::Done;
    }
    let Ok(answer) = serde_json::from_slice::<Option<Answer>>(body) else {
        return Verdict::Failed;
    };
    let failures = answer.and_then(|answer| answer.batch_item_failures).unwrap_or_default();
    let mut first: Option<usize> = None;
    for Failure { item_identifier } in failures {
        let index = records
            .iter()
            .position(|record| record.offset == item_identifier.offset)
            .filter(|_| item_identifier.partition == partition_key);
        let Some(index) = index else { return Verdict::Failed };
        first = Some(first.map_or(index, |first| first.min(index)));
    }
    first.map_or(Verdict::Done, Verdict::FailedFrom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Verdict {
        let record = |offset| Record {
            offset,
            timestamp_ms: 0,
            ages_from_ms: None,
            key: None,
            json: String::new(),
        };
        verdict(body.as_bytes(), "order.created-0", &[record(10), record(11), record(12)])
    }

    #[test]
    fn nothing_reported_is_success() {
        for body in
            ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#]
        {
            assert_eq!(read(body), Verdict::Done, "{body}");
        }
    }

    #[test]
    fn the_lowest_failed_offset_is_the_checkpoint() {
        let body = r#"{"batchItemFailures":[
            {"itemIdentifier":{"partition":"order.created-0","offset":12}},
            {"itemIdentifier":{"partition":"order.created-0","offset":11}}]}"#;
        assert_eq!(read(body), Verdict::FailedFrom(1));
    }

    #[test]
    fn an_answer_that_names_no_record_of_the_batch_fails_all_of_it() {
        for body in [
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"order.created-0","offset":99}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"order.created-1","offset":11}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"11"}]}"#,
            r#""done""#,
            "no json",
        ] {
            assert_eq!(read(body), Verdict::Failed, "{body}");
        }
    }
}
