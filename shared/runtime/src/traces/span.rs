//! A stage's span in OpenTelemetry's terms, by its conventions for messaging, Kafka and `FaaS`.
//!
//! The parent is the span of the client's request, whose context is on all events of an order. The
//! link is to the decision of the stage before.

use std::time::SystemTime;

use contracts::TraceContext;
use engine::StageSpan;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{
        Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags,
        TraceState, Tracer as _,
    },
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator as _, RandomIdGenerator, SdkTracer},
};

use super::ids::{GivenIds, span_of_decision, trace_of_order};

/// Starts and ends the span, if the sampler wants it.
pub(crate) fn record(tracer: &SdkTracer, of: &StageSpan<'_>) {
    let parent = parent(of.trace);
    let remote = parent.span().span_context().clone();
    let (trace_id, flags) = if remote.is_valid() {
        (remote.trace_id(), remote.trace_flags())
    } else {
        (trace_of_order(of.order_id), TraceFlags::SAMPLED)
    };
    // A derived id must occur once, so every other attempt has a random one.
    let span_id = if of.is_decision {
        span_of_decision(trace_id, of.order_id, of.stage)
    } else {
        RandomIdGenerator::default().new_span_id()
    };
    GivenIds::set(trace_id, span_id);
    let upstream = of.upstream.map(|stage| span_of_decision(trace_id, of.order_id, stage));
    let link = upstream.map(|span_id| {
        let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::default());
        Link::new(context, Vec::new(), 0)
    });
    let builder = tracer
        .span_builder(name(of))
        .with_kind(if of.position.is_some() { SpanKind::Consumer } else { SpanKind::Producer })
        .with_start_time(SystemTime::from(of.started))
        .with_attributes(attributes(of))
        .with_links(link.into_iter().collect());
    let mut span = tracer.build_with_context(builder, &parent);
    if let Some(failure) = &of.failure {
        span.set_attribute(KeyValue::new("error.type", failure.kind));
        span.set_status(Status::error(failure.text.clone().unwrap_or_default()));
    }
    span.end_with_timestamp(SystemTime::from(of.ended));
}

/// The context of the client's request; without one, the span begins the order's own trace.
fn parent(trace: Option<&TraceContext>) -> Context {
    struct Headers<'a>(&'a TraceContext);
    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.headers().find(|(name, _)| *name == key).map(|(_, value)| value)
        }

        fn keys(&self) -> Vec<&str> {
            self.0.headers().map(|(name, _)| name).collect()
        }
    }
    trace.map_or_else(Context::new, |trace| {
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(trace))
    })
}

/// The operation and its topic: `process order.created`.
fn name(of: &StageSpan<'_>) -> String {
    format!("{} {}", operation(of), topic(of).unwrap_or_default())
}

const fn operation(of: &StageSpan<'_>) -> &'static str {
    if of.position.is_some() { "process" } else { "send" }
}

/// The topic of the record, or that of an intake's event.
fn topic(of: &StageSpan<'_>) -> Option<&'static str> {
    match of.position {
        Some(position) => Some(position.topic.name()),
        None => Some(of.stage.spec().publishes?.accepted.topic().name()),
    }
}

fn attributes(of: &StageSpan<'_>) -> Vec<KeyValue> {
    let trigger = if of.position.is_some() { "pubsub" } else { "http" };
    let mut attributes = vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.name", operation(of)),
        KeyValue::new("messaging.operation.type", operation(of)),
        KeyValue::new("faas.trigger", trigger),
        KeyValue::new("orderId", of.order_id.to_owned()),
        KeyValue::new("stage", of.stage.name()),
        KeyValue::new("outcome", of.outcome),
    ];
    attributes.extend(topic(of).map(|topic| KeyValue::new("messaging.destination.name", topic)));
    if let Some(correlation_id) = of.correlation_id {
        attributes.push(KeyValue::new("correlationId", correlation_id.to_owned()));
    }
    if let Some(position) = of.position {
        let partition = position.partition.to_string();
        attributes.push(KeyValue::new("messaging.destination.partition.id", partition));
        attributes.push(KeyValue::new("messaging.kafka.offset", position.offset));
    }
    attributes
}
