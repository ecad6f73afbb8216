//! Traces over OTLP: a span for each record and each intake, exported before the response.
//!
//! Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set. The SDK reads the other standard variables, such
//! as `OTEL_TRACES_SAMPLER`. No thread and no task: Lambda freezes the process after the response.

mod buffer;
mod http;
mod ids;
mod resource;
mod span;

use std::{sync::Arc, time::Duration};

use engine::{StageSpan, Tracer};
use lambda_runtime::{Config, Context, Error};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanExporter as _};
use tokio::time::{Instant, timeout};

use self::{buffer::Buffer, http::Client, ids::GivenIds};
use crate::{Environment, Settings};

/// Switches traces on: the URL of a collector, to which `/v1/traces` is appended.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The most by which an export delays a response.
const EXPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// The time without exports after a failed one, so that a collector that hangs does not delay every
/// response.
const PAUSE: Duration = Duration::from_secs(30);

/// The traces of a function; without an endpoint it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Exporting>>);

#[derive(Debug)]
struct Exporting {
    exporter: SpanExporter,
    tracer: SdkTracer,
    buffer: Buffer,
}

/// Reads the endpoint; `None` switches traces off.
pub(crate) fn read_endpoint(environment: &mut Environment) -> Option<String> {
    let endpoint = environment.optional_text(ENDPOINT)?;
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        environment.reject(format!(
            "{ENDPOINT} is {endpoint:?}, but must be the URL of an OTLP/HTTP collector; \
             for example {ENDPOINT}=http://127.0.0.1:4318"
        ));
    }
    Some(endpoint)
}

impl Traces {
    /// Prepares the export, if the settings name an endpoint. Connects on first use.
    ///
    /// # Errors
    /// If a variable of OpenTelemetry is malformed.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        if settings.otlp_endpoint.is_none() {
            return Ok(Self::default());
        }
        let resource = resource::of_function(&Config::from_env());
        // The exporter's own backoff would block the thread, and the next span may be exported.
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_retry_policy(RetryPolicy::disabled());
        let mut exporter = exporter.build()?;
        exporter.set_resource(&resource);
        let buffer = Buffer::default();
        let provider = SdkTracerProvider::builder()
            .with_id_generator(GivenIds)
            .with_span_processor(buffer.clone())
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("order-workflow");
        Ok(Self(Some(Arc::new(Exporting { exporter, tracer, buffer }))))
    }

    /// The receiver of the engine's spans; `None` if traces are off.
    #[must_use]
    pub fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        let exporting = Arc::clone(self.0.as_ref()?);
        Some(exporting)
    }

    /// Exports the spans of an invocation, for 500 ms at most. After a failure the spans of the
    /// next 30 seconds are dropped; their number is logged.
    pub async fn export(&self, invocation: &Context) {
        if let Some(exporting) = &self.0 {
            exporting.export(&invocation.request_id).await;
        }
    }
}

impl Exporting {
    async fn export(&self, request_id: &str) {
        let mut spans = self.buffer.take(Instant::now());
        if spans.is_empty() {
            return;
        }
        for span in &mut spans {
            span.attributes.push(KeyValue::new("faas.invocation_id", request_id.to_owned()));
        }
        let count = spans.len();
        let error = match timeout(EXPORT_TIMEOUT, self.exporter.export(spans)).await {
            Ok(Ok(())) => {
                let dropped = self.buffer.succeeded();
                if dropped > 0 {
                    tracing::warn!(dropped, "spans are exported again");
                }
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no response within {} ms", EXPORT_TIMEOUT.as_millis()),
        };
        let dropped = self.buffer.failed(count, Instant::now() + PAUSE);
        tracing::warn!(error, dropped, pauseSeconds = PAUSE.as_secs(), "cannot export spans");
    }
}

impl Tracer for Exporting {
    fn record(&self, span: &StageSpan<'_>) {
        span::record(&self.tracer, span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(value: &str) -> Result<Option<String>, String> {
        let mut environment = Environment::new([(ENDPOINT.to_owned(), value.to_owned())]);
        let endpoint = read_endpoint(&mut environment);
        environment.finish(endpoint).map_err(|error| error.to_string())
    }

    #[test]
    fn an_endpoint_is_a_url_or_left_out() {
        let url = "http://127.0.0.1:4318";
        assert_eq!(endpoint(url), Ok(Some(url.to_owned())));
        assert_eq!(endpoint(""), Ok(None));
        let error = endpoint("127.0.0.1:4318").unwrap_err();
        assert!(error.contains("must be the URL of an OTLP/HTTP collector"), "{error}");
    }
}
