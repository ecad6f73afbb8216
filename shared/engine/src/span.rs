//! The span of a record or an intake, for a tracer outside of the engine.

use std::{fmt, sync::Arc};

use contracts::{RecordPosition, StageName, TraceContext};
use jiff::Timestamp;

use crate::{
    Accepted, Engine, RowKey,
    error::Error,
    log::Outcome,
    record::{Content, Record},
};

/// Receives a span for each record and each intake, as soon as it has ended.
pub trait Tracer: fmt::Debug + Send + Sync + 'static {
    /// Takes a span. Must neither block nor fail: the caller has records to respond for.
    fn record(&self, span: &StageSpan<'_>);
}

/// The work of a stage on one order.
#[derive(Debug, Clone)]
pub struct StageSpan<'a> {
    pub stage: StageName,
    pub order_id: &'a str,
    pub correlation_id: Option<&'a str>,
    /// The record; `None` for an intake.
    pub position: Option<RecordPosition>,
    /// The stage that has published the event; `None` for an intake or a malformed record.
    pub upstream: Option<StageName>,
    /// The trace context beside the event.
    pub trace: Option<&'a TraceContext>,
    /// The beginning of the batch: its records are decided together.
    pub started: Timestamp,
    pub ended: Timestamp,
    /// As in the log.
    pub outcome: &'static str,
    /// Set if this attempt has stored the row, as at most one attempt does.
    pub is_decision: bool,
    pub failure: Option<SpanFailure>,
}

/// The reason why a stage failed or rejected an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanFailure {
    /// A failure code, or `TransientError`.
    pub kind: &'static str,
    /// The error of a retried record, without payload and customer.
    pub text: Option<String>,
}

impl<'a> StageSpan<'a> {
    /// The span of a record; `None` for a record of another stage.
    pub(crate) fn of_record(
        stage: StageName,
        record: &'a Record<'_>,
        result: &Result<Outcome, Error>,
        (started, ended): (Timestamp, Timestamp),
    ) -> Option<Self> {
        if matches!(record.content, Content::Ignored) {
            return None;
        }
        let code = |outcome: &Outcome| {
            outcome.code().map(|code| SpanFailure { kind: code.name(), text: None })
        };
        Some(Self {
            stage,
            order_id: record.order_id(),
            correlation_id: record.event().map(|event| event.correlation_id.as_ref()),
            position: Some(record.position),
            upstream: record.event().map(|event| event.event_type.published_by()),
            trace: record.trace.as_ref(),
            started,
            ended,
            outcome: result.as_ref().map_or("retried", Outcome::name),
            is_decision: matches!(result, Ok(Outcome::Accepted | Outcome::Rejected(_))),
            failure: result.as_ref().map_or_else(|error| Some(retried(error.chain())), code),
        })
    }

    /// The span of an intake.
    pub(crate) fn of_intake(
        key: &'a RowKey,
        trace: Option<&'a TraceContext>,
        result: &'a Result<Accepted, Error>,
        (started, ended): (Timestamp, Timestamp),
    ) -> Self {
        let accepted = result.as_ref().ok();
        let event = accepted.and_then(|accepted| accepted.row.event());
        let error = match result {
            Ok(accepted) => accepted.published.as_ref().err().map(|error| error.chain()),
            Err(error) => Some(error.chain()),
        };
        let is_new = accepted.is_some_and(|accepted| accepted.is_new);
        Self {
            stage: key.stage,
            order_id: &key.id,
            correlation_id: event.map(|event| event.correlation_id.as_str()),
            position: None,
            upstream: None,
            trace,
            started,
            ended,
            outcome: match error {
                Some(_) => "retried",
                None if is_new => Outcome::Accepted.name(),
                None => Outcome::Redelivered.name(),
            },
            is_decision: is_new,
            failure: error.map(retried),
        }
    }
}

impl Engine {
    /// Hands the span of each record and each intake to a tracer.
    #[must_use]
    pub fn traced_by(mut self, tracer: Option<Arc<dyn Tracer>>) -> Self {
        self.tracer = tracer;
        self
    }

    pub(crate) fn trace(
        &self,
        stage: StageName,
        record: &Record<'_>,
        result: &Result<Outcome, Error>,
        times: (Timestamp, Timestamp),
    ) {
        if let Some(tracer) = &self.tracer
            && let Some(span) = StageSpan::of_record(stage, record, result, times)
        {
            tracer.record(&span);
        }
    }
}

const fn retried(text: String) -> SpanFailure {
    SpanFailure { kind: "TransientError", text: Some(text) }
}
