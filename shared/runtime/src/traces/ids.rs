//! The ids of spans: those of a decision are derived, so that the next stage can link to it.
//!
//! The headers of an event never name a stage's span, because a redelivery publishes them again
//! unchanged. A stage therefore computes the span id of the stage before it.

use std::cell::Cell;

use contracts::StageName;
use engine::Digest;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

thread_local! {
    static NEXT: Cell<(TraceId, SpanId)> = const { Cell::new((TraceId::INVALID, SpanId::INVALID)) };
}

/// Gives the SDK the ids that were set for the next span of this thread.
#[derive(Debug)]
pub(crate) struct GivenIds;

impl GivenIds {
    pub(crate) fn set(trace_id: TraceId, span_id: SpanId) {
        NEXT.set((trace_id, span_id));
    }
}

impl IdGenerator for GivenIds {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().0
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().1
    }
}

/// The trace of an order whose request had no `traceparent`: the same for each stage.
pub(crate) fn trace_of_order(order_id: &str) -> TraceId {
    let digest = Digest::of(order_id.as_bytes()).to_string();
    TraceId::from_hex(&digest).unwrap_or(TraceId::INVALID)
}

/// The span of a stage's decision on an order.
pub(crate) fn span_of_decision(trace_id: TraceId, order_id: &str, stage: StageName) -> SpanId {
    let digest = Digest::of(format!("{trace_id}/{order_id}/{stage}").as_bytes()).to_string();
    let half = digest.get(..16).unwrap_or_default();
    SpanId::from_hex(half).unwrap_or(SpanId::INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_valid_and_differ_by_trace_order_and_stage() {
        let trace = trace_of_order("ord-1");
        assert_ne!(trace, TraceId::INVALID);
        assert_ne!(trace, trace_of_order("ord-2"));
        let span = span_of_decision(trace, "ord-1", StageName::Validator);
        assert_ne!(span, SpanId::INVALID);
        assert_eq!(span, span_of_decision(trace, "ord-1", StageName::Validator));
        let other = trace_of_order("ord-2");
        assert_ne!(span, span_of_decision(other, "ord-1", StageName::Validator));
        assert_ne!(span, span_of_decision(trace, "ord-2", StageName::Validator));
        assert_ne!(span, span_of_decision(trace, "ord-1", StageName::Inventory));
    }
}
