//! The spans of an order: one for each stage, their parent, links and attributes.

use std::collections::BTreeMap;

use contracts::{EventType, StageName, happy_path};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};

use crate::{
    collector::{Behaviour, Exported},
    order, post, traced_world, world,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TRACESTATE: &str = "vendor=t61rcWkgMzE,rojo=00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The stages of an order that completes.
fn happy_stages() -> Vec<StageName> {
    happy_path().map(|spec| spec.name).chain([StageName::Close]).collect()
}

/// The one span of each stage.
fn by_stage(spans: &[Exported]) -> BTreeMap<String, &Exported> {
    let by_stage: BTreeMap<_, _> = spans.iter().map(|it| (it.text("stage"), it)).collect();
    assert_eq!(by_stage.len(), spans.len(), "a stage has several spans: {spans:#?}");
    by_stage
}

/// Checks the chain of links of an order that completes.
fn assert_linked(spans: &[Exported]) {
    let by_stage = by_stage(spans);
    let mut upstream = None;
    for stage in happy_stages() {
        let of_stage = by_stage[stage.name()];
        assert_eq!(of_stage.links(), Vec::from_iter(upstream), "{stage}");
        upstream = Some(of_stage.span.span_id.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_has_a_span_in_the_trace_of_the_request() {
    let (mut world, collector) = traced_world(Behaviour::Accepts).await;
    let traceparent = traceparent("01");
    let headers = [
        ("traceparent", traceparent.as_str()),
        ("tracestate", TRACESTATE),
        ("x-correlation-id", "corr-traced"),
    ];
    let order_id = post(&world, &headers, &order()).await;
    let spans = collector.until(&order_id, happy_stages().len()).await;
    assert_linked(&spans);
    for exported in &spans {
        let (stage, span) = (exported.text("stage"), &exported.span);
        assert_eq!((exported.trace_id(), exported.parent_id()), (TRACE.into(), PARENT.into()));
        assert_eq!(span.trace_state, TRACESTATE, "{stage}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{stage}");
        assert!(span.status.as_ref().is_none_or(|it| it.code() == StatusCode::Unset), "{stage}");
        assert_eq!(exported.text("correlationId"), "corr-traced");
        assert_eq!(exported.text("outcome"), "accepted", "{stage}");
        assert_eq!(exported.text("messaging.system"), "kafka");
        assert!(!exported.text("faas.invocation_id").is_empty(), "{stage}");
    }
    let by_stage = by_stage(&spans);
    let intake = by_stage["order-api"];
    assert_eq!(
        (intake.span.name.as_str(), intake.span.kind()),
        ("send order.created", SpanKind::Producer)
    );
    let validator = by_stage["validator"];
    assert_eq!(validator.span.kind(), SpanKind::Consumer);
    assert_eq!(validator.span.name, "process order.created");
    assert_eq!(validator.service, "validator");
    assert_eq!(validator.text("messaging.destination.name"), "order.created");
    assert_eq!(by_stage["close"].service, "order-api");

    // The record's position is that of the event, whose headers are those of the request.
    let records = world.until("OrderCreated", |seen| !seen.is_empty()).await;
    assert!(!records.is_empty());
    world.until_event(&order_id, EventType::OrderCompleted, 1).await;
    let record = world.records(&order_id, EventType::OrderCreated)[0];
    let position = (record.partition.to_string(), record.offset.to_string());
    let text = |name| validator.text(name);
    assert_eq!(
        (text("messaging.destination.partition.id"), text("messaging.kafka.offset")),
        position
    );
    for event_type in [EventType::OrderCreated, EventType::OrderCompleted] {
        let record = world.records(&order_id, event_type)[0];
        let header = |wanted: &str| {
            let mut headers = record.headers.iter();
            let value = headers.find(|(name, _)| name == wanted)?.1.clone();
            String::from_utf8(value?).ok()
        };
        assert_eq!(header("traceparent").as_deref(), Some(traceparent.as_str()), "{event_type}");
        assert_eq!(header("tracestate").as_deref(), Some(TRACESTATE), "{event_type}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_traceparent_has_a_trace_of_its_own_and_no_headers() {
    let (mut world, collector) = traced_world(Behaviour::Accepts).await;
    let (first, second) = (post(&world, &[], &order()).await, post(&world, &[], &order()).await);
    let mut traces = Vec::new();
    for order_id in [&first, &second] {
        let spans = collector.until(order_id, happy_stages().len()).await;
        assert_linked(&spans);
        let trace_id = spans[0].trace_id();
        for span in &spans {
            assert_eq!((span.trace_id(), span.parent_id()), (trace_id.clone(), String::new()));
        }
        traces.push(trace_id);
    }
    assert_ne!(traces[0], traces[1]);
    world.until_event(&first, EventType::OrderCompleted, 1).await;
    let record = world.records(&first, EventType::OrderCompleted)[0];
    assert!(record.headers.iter().all(|(name, _)| !name.starts_with("trace")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sampled_flag_of_the_request_decides() {
    let (world, collector) = traced_world(Behaviour::Accepts).await;
    let unsampled = post(&world, &[("traceparent", &traceparent("00"))], &order()).await;
    world.ended(&unsampled).await;
    let sampled = post(&world, &[("traceparent", &traceparent("01"))], &order()).await;
    collector.until(&sampled, happy_stages().len()).await;
    assert!(collector.spans(&unsampled).is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_is_a_span_of_its_own_beside_that_of_the_decision() {
    let (world, collector) = traced_world(Behaviour::Accepts).await;
    let traceparent = traceparent("01");
    let headers = [("idempotency-key", "key-1"), ("traceparent", traceparent.as_str())];
    let order_id = post(&world, &headers, &order()).await;
    let stages = happy_stages().len();
    let decisions = collector.until(&order_id, stages).await;
    assert_linked(&decisions);
    // The client repeats its request, and everything is published again.
    assert_eq!(post(&world, &headers, &order()).await, order_id);
    let spans = collector.until(&order_id, 2 * stages).await;
    let by_stage = by_stage(&decisions);
    let redelivered: Vec<_> =
        spans.iter().filter(|it| it.text("outcome") == "redelivered").collect();
    assert_eq!(redelivered.len(), stages);
    for again in redelivered {
        let decision = by_stage[&again.text("stage")];
        assert_ne!(again.span.span_id, decision.span.span_id);
        assert_eq!(again.trace_id(), decision.trace_id());
        assert_eq!(again.links(), decision.links(), "{}", again.text("stage"));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_order_has_a_span_with_an_error() {
    let (world, collector) = traced_world(Behaviour::Accepts).await;
    let mut dear = order();
    dear["totalAmount"] = 1000.01.into();
    let order_id = post(&world, &[("traceparent", &traceparent("01"))], &dear).await;
    // Intake, validator, inventory, payment; then release and close, which accept the failure.
    let spans = collector.until(&order_id, 6).await;
    let by_stage = by_stage(&spans);
    let failed = |exported: &&&Exported| {
        exported.span.status.as_ref().is_some_and(|it| it.code() == StatusCode::Error)
    };
    let failed: Vec<_> = by_stage.values().filter(failed).collect();
    assert_eq!(failed.len(), 1, "{spans:#?}");
    let payment = failed[0];
    assert_eq!(
        (payment.text("stage"), payment.text("outcome")),
        ("payment".into(), "rejected".into())
    );
    assert_eq!(payment.text("error.type"), "PAYMENT_DECLINED");
    for stage in ["release", "close"] {
        assert_eq!(by_stage[stage].links(), std::slice::from_ref(&payment.span.span_id), "{stage}");
        assert_eq!(by_stage[stage].span.name, "process order.failed");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_endpoint_nothing_is_exported() {
    let collector = crate::Collector::start(Behaviour::Accepts).await;
    // The SDK would take this variable, and a default endpoint; the empty one is the template's.
    let traces_endpoint = format!("{}/v1/traces", collector.url);
    let variables =
        [(crate::ENDPOINT, ""), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces_endpoint.as_str())];
    let world = world(&variables).await;
    let order_id = post(&world, &[("traceparent", &traceparent("01"))], &order()).await;
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    world.stop().await;
    assert_eq!(collector.requests(), 0);
}
