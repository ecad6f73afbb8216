//! What comes of handing records to the function once?

use super::Shared;
use super::answer::{Verdict, verdict};
use super::event::EventFrame;
use super::record::Record;
use crate::invoke::{Answer, InvokeError};

/// What came of it.
pub(super) enum Attempt {
    /// The function was asked, or the event is larger than it may be asked with.
    Made { verdict: Verdict, function_failed: bool },
    /// The function was not reached, which counts as no attempt.
    NotMade(InvokeError),
}

/// Invokes the function of the mapping with these records of one partition.
pub(super) async fn attempt(shared: &Shared, frame: &EventFrame, records: &[Record]) -> Attempt {
    let mapping = &shared.mapping;
    shared.counts.invoked();
    let answer = shared.invoke.invoke(&mapping.function, frame.event(records)).await;
    let (verdict, function_failed) = match answer {
        Ok(Answer::Returned(body)) if mapping.reports_item_failures => {
            (verdict(&body, &frame.partition_key, records), false)
        }
        // Without ReportBatchItemFailures a list of failures is not read: it means success.
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
        Err(error) => return Attempt::NotMade(error),
    };
    Attempt::Made { verdict, function_failed }
}
