//! Logs: JSON lines on standard output, written once per invocation.
//!
//! Writing each record's line at once would take a system call each, a tenth of a batch's time. A
//! warning is written at once, with all lines before it, because the process may be stopped before
//! the end.

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

/// The targets that may log below level `info`, beside the function's own crate: our shared crates,
/// and the Kafka client.
///
/// Below `info` the others log their traffic: payloads, API keys and tokens.
const OPEN_TARGETS: [&str; 6] =
    ["contracts", "engine", "kafka", "runtime", "librdkafka", "rdkafka"];

/// Writes logs as JSON lines, at the levels of `RUST_LOG` or from `info` on.
///
/// `function` is the name of its crate, whose lines below `info` are not dropped.
pub fn log_as_json(function: &'static str) {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    json_lines(wanted, function, Output).init();
    report_panics();
}

/// JSON lines at the levels of `wanted`, but never below `info` for foreign crates.
pub fn json_lines<W>(
    wanted: EnvFilter,
    function: &'static str,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let open = FilterFn::new(move |metadata| {
        *metadata.level() <= Level::INFO || is_open(metadata.target(), function)
    });
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine)
        .with_writer(writer);
    tracing_subscriber::registry().with(wanted).with(open).with(lines)
}

fn is_open(target: &str, function: &str) -> bool {
    let name = target.split("::").next().unwrap_or_default();
    name == function || OPEN_TARGETS.contains(&name)
}

/// Writes the buffered lines before the report of a panic, which ends the process.
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
    // An error of the log itself cannot be reported anywhere.
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
