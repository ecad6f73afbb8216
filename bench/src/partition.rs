//! Delivers the records of one partition in batches, and redelivers the failed ones.

use std::collections::HashSet;
use std::time::Instant;

use serde::Deserialize;

use crate::error::{Context, Result};
use crate::process::Process;
use crate::record::{Record, invocation};

#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Keys of the handled records.
    pub(crate) done: Vec<String>,
    /// Number of redelivered records.
    pub(crate) redelivered: u64,
    pub(crate) ended: Option<Instant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    batch_item_failures: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: ItemIdentifier,
}

#[derive(Deserialize)]
struct ItemIdentifier {
    offset: i64,
}

/// Delivers the records of one partition in order, until all are handled or the limit expires.
pub(crate) async fn deliver_all(
    process: &mut Process,
    records: &[Record],
    batch: usize,
    until: Instant,
) -> Result<Deliveries> {
    let mut deliveries = Deliveries::default();
    for batch in records.chunks(batch) {
        let mut pending = batch.to_vec();
        while !pending.is_empty() {
            if Instant::now() >= until {
                return Ok(deliveries);
            }
            let response = process.invoke(invocation(&pending)).await?;
            let failed = failed_offsets(&response.body)?;
            let is_failed = |record: &Record| failed.contains(&record.offset);
            let (failed, done): (Vec<Record>, Vec<Record>) =
                pending.into_iter().partition(is_failed);
            deliveries.done.extend(done.into_iter().map(|record| record.key));
            deliveries.redelivered += u64::try_from(failed.len()).unwrap_or(u64::MAX);
            deliveries.ended = Some(Instant::now());
            pending = failed;
        }
    }
    Ok(deliveries)
}

fn failed_offsets(body: &[u8]) -> Result<HashSet<i64>> {
    let response: BatchResponse =
        serde_json::from_slice(body).context("cannot read a batch response")?;
    let failures = response.batch_item_failures.into_iter();
    Ok(failures.map(|failure| failure.item_identifier.offset).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_records_are_known_by_their_offsets() {
        let body = br#"{"batchItemFailures":[
            {"itemIdentifier":{"partition":"order.validated-0","offset":7}}
        ]}"#;
        assert_eq!(failed_offsets(body).unwrap(), HashSet::from([7]));
        assert!(failed_offsets(br#"{"batchItemFailures":[]}"#).unwrap().is_empty());
        assert!(failed_offsets(b"null").is_err());
    }
}
