//! What came of a record, and the one log line that says so.

use contracts::{Envelope, FailureCode};

use jiff::Timestamp;

use crate::{Retry, incoming::Incoming};

/// What came of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Rejected(FailureCode),
    Redelivered,
    Conflicting,
    Poison(FailureCode),
    Ignored,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected(_) => "rejected",
            Self::Redelivered => "redelivered",
            Self::Conflicting => "conflicting",
            Self::Poison(_) => "poison",
            Self::Ignored => "ignored",
        }
    }

    const fn code(self) -> Option<FailureCode> {
        match self {
            Self::Rejected(code) | Self::Poison(code) => Some(code),
            _ => None,
        }
    }
}

/// One line for one record. Neither payload nor customer is ever logged.
pub(crate) fn log(
    incoming: &Incoming<'_>,
    event: Option<&Envelope>,
    outcome: Outcome,
    now: Timestamp,
) {
    tracing::info!(
        orderId = incoming.order_key(),
        correlationId = event.map(|event| event.correlation_id.as_str()),
        stage = incoming.stage.name().name(),
        topic = incoming.source.topic,
        partition = incoming.source.partition,
        offset = incoming.source.offset,
        writtenAtMs = incoming.timestamp_ms,
        ageMs = age_ms(incoming, now),
        outcome = outcome.name(),
        code = outcome.code().map(FailureCode::name),
        "decided"
    );
}

/// One line for a record that is to be delivered again.
pub(crate) fn log_trouble(incoming: &Incoming<'_>, trouble: &Retry, now: Timestamp) {
    tracing::warn!(
        orderId = incoming.order_key(),
        stage = incoming.stage.name().name(),
        topic = incoming.source.topic,
        partition = incoming.source.partition,
        offset = incoming.source.offset,
        ageMs = age_ms(incoming, now),
        outcome = "retried",
        error = trouble.chain(),
        "to be delivered again"
    );
}

/// How long ago the record was written; `None` where nobody said.
fn age_ms(incoming: &Incoming<'_>, now: Timestamp) -> Option<i64> {
    Some(now.as_millisecond().saturating_sub(incoming.timestamp_ms?))
}
