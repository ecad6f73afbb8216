//! The spans of an invocation, until they are exported or dropped.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use tokio::time::Instant;

/// More than the largest batch; OpenTelemetry's default for a queue of spans.
const MAX_SPANS: usize = 2_048;

/// The spans of an invocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    spans: Vec<SpanData>,
    /// The spans that were dropped since the last report.
    dropped: usize,
    paused_until: Option<Instant>,
}

impl Buffer {
    /// Takes the spans to export; during a pause they are dropped.
    pub(crate) fn take(&self, now: Instant) -> Vec<SpanData> {
        let mut state = self.state();
        let spans = mem::take(&mut state.spans);
        if state.paused_until.is_some_and(|until| now < until) {
            state.dropped += spans.len();
            return Vec::new();
        }
        spans
    }

    /// Ends a pause; returns the number of spans dropped since the last report.
    pub(crate) fn succeeded(&self) -> usize {
        let mut state = self.state();
        state.paused_until = None;
        mem::take(&mut state.dropped)
    }

    /// Begins a pause; returns the number of spans dropped since the last report, with these.
    pub(crate) fn failed(&self, spans: usize, until: Instant) -> usize {
        let mut state = self.state();
        state.paused_until = Some(until);
        mem::take(&mut state.dropped) + spans
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Buffer {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut state = self.state();
        if state.spans.len() < MAX_SPANS {
            state.spans.push(span);
        } else {
            state.dropped += 1;
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Starts and ends this many spans.
    fn end(buffer: &Buffer, spans: usize) {
        let provider = SdkTracerProvider::builder().with_span_processor(buffer.clone()).build();
        let tracer = provider.tracer("test");
        (0..spans).for_each(|_| drop(tracer.start("span")));
    }

    #[test]
    fn spans_of_a_pause_are_dropped_and_counted() {
        let (buffer, now) = (Buffer::default(), Instant::now());
        end(&buffer, 2);
        assert_eq!(buffer.take(now).len(), 2);
        let until = now + Duration::from_secs(30);
        assert_eq!(buffer.failed(2, until), 2);
        end(&buffer, 3);
        assert_eq!(buffer.take(now).len(), 0);
        end(&buffer, 1);
        assert_eq!(buffer.take(until).len(), 1);
        assert_eq!(buffer.succeeded(), 3);
        assert_eq!(buffer.succeeded(), 0);
    }

    #[test]
    fn the_buffer_is_bounded() {
        let buffer = Buffer::default();
        end(&buffer, MAX_SPANS + 5);
        assert_eq!(buffer.take(Instant::now()).len(), MAX_SPANS);
        assert_eq!(buffer.succeeded(), 5);
    }
}
