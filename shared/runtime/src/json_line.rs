//! A log event as one JSON line: its fields beside `timestamp`, `level` and `target`, and the
//! fields of its span (Lambda's request id) under `span`.
//!
//! `tracing-subscriber` has the same format, but parses the span's fields for each event and writes
//! through a formatter that checks every piece, which took a seventh of a batch's CPU time.

use std::fmt;

use serde::{Serialize, Serializer as _, ser::SerializeMap};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Formats events; the fields of spans are formatted once, by [`JsonFields`].
pub(crate) struct JsonLine;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLine {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Vec::with_capacity(512);
        fields(event, &mut line).map_err(|_| fmt::Error)?;
        let line = std::str::from_utf8(&line).map_err(|_| fmt::Error)?;
        let span = context.lookup_current();
        let extensions = span.as_ref().map(tracing_subscriber::registry::SpanRef::extensions);
        let span = extensions.as_ref().and_then(|it| it.get::<FormattedFields<JsonFields>>());
        match (span, line.strip_suffix('}')) {
            (Some(span), Some(open)) => writeln!(writer, "{open},\"span\":{}}}", span.fields),
            _ => writeln!(writer, "{line}"),
        }
    }
}

fn fields(event: &Event<'_>, line: &mut Vec<u8>) -> serde_json::Result<()> {
    let metadata = event.metadata();
    let mut timestamp = String::with_capacity(32);
    SystemTime.format_time(&mut Writer::new(&mut timestamp)).ok();
    let mut serializer = serde_json::Serializer::new(line);
    let mut fields = Fields { map: serializer.serialize_map(None)?, result: Ok(()) };
    fields.map.serialize_entry("timestamp", &timestamp)?;
    fields.map.serialize_entry("level", metadata.level().as_str())?;
    event.record(&mut fields);
    fields.result?;
    fields.map.serialize_entry("target", metadata.target())?;
    fields.map.end()
}

/// Writes each field of an event; keeps the first error.
struct Fields<M: SerializeMap> {
    map: M,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<M> {
    fn write(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if self.result.is_ok() {
            self.result = self.map.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for Fields<M> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, &format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `log` writes.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_event_is_one_line_with_its_fields_and_those_of_its_span() {
        let lines = lines(|| {
            let span = tracing::info_span!("invocation", requestId = "id \"1\"");
            let _entered = span.enter();
            tracing::warn!(
                orderId = "a\nb",
                offset = -7_i64,
                ageMs = None::<i64>,
                rate = f64::NAN,
                ok = true,
                kind = ?Some("x\"y"),
                "decided"
            );
        });
        let [line] = &*lines else { panic!("one line, not {lines:?}") };
        let timestamp = line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>();
        assert!(timestamp.is_ok(), "{line}");
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("timestamp");
        assert_eq!(
            line,
            json!({
                "level": "WARN", "orderId": "a\nb", "offset": -7, "rate": null, "ok": true,
                "kind": "Some(\"x\\\"y\")", "message": "decided",
                "target": "runtime::json_line::tests", "span": { "requestId": "id \"1\"" },
            })
        );
    }

    #[test]
    fn an_event_outside_of_spans_is_a_line_too() {
        let lines = lines(|| tracing::info!("started"));
        let [line] = &*lines else { panic!("one line, not {lines:?}") };
        assert_eq!(line["message"], "started");
        assert_eq!(line.get("span"), None);
    }
}
