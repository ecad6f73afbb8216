//! One invocation of the function with a batch.

use super::Shared;
use super::answer::{Verdict, verdict};
use super::event::EventFrame;
use super::record::Record;
use crate::invoke::{Answer, InvokeError};

pub(super) enum Attempt {
    /// The function was invoked, or the event exceeds Lambda's limit.
    Completed { verdict: Verdict, function_failed: bool },
    /// The function was not reached: this does not count as an attempt.
    NotReached(InvokeError),
}

/// Invokes the function of the mapping with these records of one partition.
pub(super) async fn attempt(shared: &Shared, frame: &EventFrame, records: &[Record]) -> Attempt {
    let mapping = &shared.mapping;
    shared.counts.invoked();
    let response = shared.invoke.invoke(&mapping.function, frame.event(records)).await;
    let (verdict, function_failed) = match response {
        Ok(Answer::Returned(body)) if mapping.reports_item_failures => {
            (verdict(&body, &frame.partition_key, records), false)
        }
        // Without ReportBatchItemFailures any response means success.
        Ok(Answer::Returned(_)) => (Verdict::Done, false),
        Ok(Answer::Failed(error)) => {
            tracing::warn!(
                mapping = mapping.logical_id,
                partition = frame.partition_key,
                records = records.len(),
                error = error.error_message,
                "the function failed"
            );
            (Verdict::Failed, true)
        }
        Err(InvokeError::TooLarge { .. }) => (Verdict::TooLarge, false),
        Err(error) => return Attempt::NotReached(error),
    };
    Attempt::Completed { verdict, function_failed }
}
