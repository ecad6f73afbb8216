//! Logs: JSON lines on standard output, written once for an invocation.
//!
//! A line for each record would cost a system call each, a tenth of what a batch takes. A warning is
//! written at once, with all lines before it, since the process may be stopped before the end.

use std::{
    io::{self, BufWriter, Stdout, Write},
    panic,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::JsonFields},
};

use crate::json_line::JsonLine;

static OUTPUT: LazyLock<Mutex<BufWriter<Stdout>>> =
    LazyLock::new(|| Mutex::new(BufWriter::with_capacity(64 * 1024, io::stdout())));

/// Writes logs as JSON lines, from `RUST_LOG` or else from level `info` on.
pub fn log_as_json() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine)
        .with_env_filter(filter)
        .with_writer(Output)
        .init();
    // A panic ends the process: the lines before it are written first.
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
