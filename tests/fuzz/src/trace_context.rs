//! The trace headers of a request or a record: `traceparent`, then `tracestate` on the next line.

use contracts::TraceContext;

/// The limits of W3C's Trace Context: 55 characters of `traceparent`, and 512 of `tracestate`.
const MAX_BYTES: usize = 55 + 512;

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (parent, state) = match text.split_once('\n') {
        Some((parent, state)) => (parent, Some(state)),
        None => (text.as_ref(), None),
    };
    let Some(trace) = TraceContext::parse(parent, state) else { return };
    let headers: Vec<_> = trace.headers().map(|(name, value)| (name, value.to_owned())).collect();
    let bytes: usize = headers.iter().map(|(_, value)| value.len()).sum();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes are passed on");
    for (name, value) in &headers {
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
    }
    let read = |name| headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str());
    let again = TraceContext::parse(read("traceparent").unwrap_or_default(), read("tracestate"));
    assert_eq!(again.as_ref(), Some(&trace), "the next stage reads another trace");
}
