//! Logs: JSON lines on standard output, written once for an invocation.
//!
//! A line for each record would cost a system call each, a tenth of what a batch takes. A warning is
//! written at once, with all lines before it, since the process may be stopped before the end.

use std::{
    io::{self, BufWriter, Stdout, Write},
    panic,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    filter::FilterFn,
    fmt::{MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::json_line::JsonLine;

static OUTPUT: LazyLock<Mutex<BufWriter<Stdout>>> =
    LazyLock::new(|| Mutex::new(BufWriter::with_capacity(64 * 1024, io::stdout())));

/// The targets that write more than warnings and messages of level `info`: our own crates, and the
/// Kafka client.
///
/// Below `info` the others write what they send and receive: payloads, keys of providers and tokens.
const OPEN_TARGETS: [&str; 11] = [
    "contracts",
    "engine",
    "kafka",
    "runtime",
    "order_api",
    "validator",
    "inventory",
    "payment",
    "notification",
    "librdkafka",
    "rdkafka",
];

/// Writes logs as JSON lines, from `RUST_LOG` or else from level `info` on.
pub fn log_as_json() {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    json_lines(wanted, Output).init();
    report_panics();
}

/// JSON lines as the functions write them: those that are wanted, and of foreign crates none below
/// level `info`.
pub fn json_lines<W>(wanted: EnvFilter, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let open =
        FilterFn::new(|metadata| *metadata.level() <= Level::INFO || is_open(metadata.target()));
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine)
        .with_writer(writer);
    tracing_subscriber::registry().with(wanted).with(open).with(lines)
}

fn is_open(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or_default();
    OPEN_TARGETS.contains(&name)
}

/// Writes the lines before a panic first, which ends the process.
fn report_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if let Ok(mut output) = OUTPUT.try_lock() {
            output.flush().ok();
        }
        report(panic);
    }));
}

/// Writes the lines that are still buffered, at the end of an invocation.
pub fn flush_logs() {
    // Nobody is left to be told that the log cannot be written.
    output().flush().ok();
}

fn output() -> MutexGuard<'static, BufWriter<Stdout>> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Output;

struct Line {
    is_urgent: bool,
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { is_urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { is_urgent: *metadata.level() <= Level::WARN }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = output();
        output.write_all(bytes)?;
        if self.is_urgent {
            output.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        output().flush()
    }
}
