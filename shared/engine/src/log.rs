//! One log line for each record, without payload and customer.

use contracts::{FailureCode, StageName};
use jiff::Timestamp;

use crate::{error::Error, record::Record};

/// The outcome of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Rejected(FailureCode),
    Redelivered,
    /// The order was cancelled or expired before the record arrived.
    EndedEarly(Option<FailureCode>),
    Conflicting,
    Malformed(FailureCode),
    Unverified,
    Ignored,
}

impl Outcome {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected(_) => "rejected",
            Self::Redelivered => "redelivered",
            Self::EndedEarly(_) => "ended-early",
            Self::Conflicting => "conflicting",
            Self::Malformed(_) => "malformed",
            Self::Unverified => "unverified",
            Self::Ignored => "ignored",
        }
    }

    pub(crate) const fn code(&self) -> Option<FailureCode> {
        match self {
            Self::Rejected(code) | Self::Malformed(code) => Some(*code),
            Self::EndedEarly(code) => *code,
            _ => None,
        }
    }
}

pub(crate) fn result(
    stage: StageName,
    record: &Record<'_>,
    result: &Result<Outcome, Error>,
    now: Timestamp,
) {
    let position = record.position;
    // `None` if the record has no timestamp.
    let age_ms = record.timestamp_ms.map(|it| now.as_millisecond().saturating_sub(it));
    // `tracing` takes constant levels only.
    macro_rules! not_done {
        ($level:ident, $outcome:literal, $error:expr, $message:literal) => {
            tracing::$level!(
                orderId = record.order_id(),
                stage = stage.name(),
                topic = position.topic.name(),
                partition = position.partition,
                offset = position.offset,
                ageMs = age_ms,
                outcome = $outcome,
                error = $error,
                $message
            )
        };
    }
    match result {
        Ok(outcome) => tracing::info!(
            orderId = record.order_id(),
            correlationId = record.event().map(|event| event.correlation_id.as_ref()),
            stage = stage.name(),
            topic = position.topic.name(),
            partition = position.partition,
            offset = position.offset,
            writtenAtMs = record.timestamp_ms,
            ageMs = age_ms,
            outcome = outcome.name(),
            code = outcome.code().map(FailureCode::name),
            "decided"
        ),
        Err(Error::Permanent(error)) => not_done!(
            error,
            "given-up",
            error.to_string(),
            "a person must act: the record is a dead letter"
        ),
        Err(Error::Transient(error)) => {
            not_done!(warn, "retried", error.chain(), "to be redelivered");
        }
    }
}
