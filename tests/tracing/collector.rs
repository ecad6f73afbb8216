//! A collector that speaks OTLP over HTTP with protobuf, and decodes what it receives.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{net::TcpListener, time::timeout};

/// The limit for every wait of a test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The behaviour of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Accepts,
    /// Reads requests and never responds.
    Hangs,
    /// Responds with this status.
    Rejects(u16),
}

/// A collector on this machine.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Received>,
}

struct Received {
    behaviour: Behaviour,
    requests: AtomicUsize,
    spans: Mutex<Vec<Exported>>,
}

/// A span with the name of its service.
#[derive(Debug, Clone)]
pub(crate) struct Exported {
    pub(crate) service: String,
    pub(crate) span: Span,
}

impl Collector {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let received = Received { behaviour, requests: 0.into(), spans: Mutex::default() };
        let received = Arc::new(received);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/v1/traces", post(receive));
        let routes = routes.with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, received }
    }

    /// The number of export requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.received.requests.load(Ordering::Relaxed)
    }

    /// The spans of an order so far, in the order of their times.
    pub(crate) fn spans(&self, order_id: &str) -> Vec<Exported> {
        let spans = self.received.spans.lock().expect("not poisoned");
        let mut spans: Vec<_> =
            spans.iter().filter(|it| it.text("orderId") == order_id).cloned().collect();
        spans.sort_by_key(|it| (it.span.start_time_unix_nano, it.span.end_time_unix_nano));
        spans
    }

    /// Waits for this many spans of an order.
    pub(crate) async fn until(&self, order_id: &str, count: usize) -> Vec<Exported> {
        let reached = async {
            while self.spans(order_id).len() < count {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let reached = timeout(TIMEOUT, reached).await;
        let spans = self.spans(order_id);
        reached.unwrap_or_else(|_| panic!("{count} spans expected: {spans:#?}"));
        spans
    }
}

async fn receive(
    State(received): State<Arc<Received>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    received.requests.fetch_add(1, Ordering::Relaxed);
    match received.behaviour {
        Behaviour::Accepts => {}
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::Rejects(status) => {
            return StatusCode::from_u16(status).expect("a status").into_response();
        }
    }
    let request = ExportTraceServiceRequest::decode(body).expect("a request of OTLP");
    let mut spans = received.spans.lock().expect("not poisoned");
    for of_resource in request.resource_spans {
        let attributes = of_resource.resource.unwrap_or_default().attributes;
        let service = text_of(&attributes, "service.name");
        assert_eq!(service, text_of(&attributes, "faas.name"));
        let all = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(all.map(|span| Exported { service: service.clone(), span }));
    }
    let response = ExportTraceServiceResponse::default().encode_to_vec();
    ([("content-type", "application/x-protobuf")], response).into_response()
}

impl Exported {
    /// An attribute as text; empty if it is missing.
    pub(crate) fn text(&self, name: &str) -> String {
        text_of(&self.span.attributes, name)
    }

    pub(crate) fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub(crate) fn parent_id(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// The spans that it links to, which must be of its trace.
    pub(crate) fn links(&self) -> Vec<Vec<u8>> {
        let links = self.span.links.iter();
        links
            .map(|link| {
                assert_eq!(link.trace_id, self.span.trace_id);
                link.span_id.clone()
            })
            .collect()
    }
}

fn text_of(attributes: &[KeyValue], name: &str) -> String {
    let attribute = attributes.iter().find(|attribute| attribute.key == name);
    match attribute.and_then(|it| it.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
