//! The output of the functions.
//!
//! Every line goes to the function's log file, `NAME.log`, and so do the reports of its invocations; a
//! full file is renamed to `NAME.log.1`. Outcome lines are counted. Warnings, errors and lines on
//! standard error that are not JSON are also logged by this process, where a person sees them.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use terminal::printable_start;

use super::report::Report;

/// Number of warnings that are kept to explain an exit.
const WARNING_TAIL_LINES: usize = 12;

/// A run keeps two files of this size for each function.
const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;
/// The part of a longer line that is read as a whole.
const MAX_LINE_BYTES: u64 = 256 * 1024;
/// The part of a warning that a person sees.
const MAX_WARNING_BYTES: usize = 4 * 1024;

/// The number of outcome lines in the logs: JSON with the fields `stage` and `outcome`.
#[derive(Debug, Clone, Default)]
pub struct Outcomes(Arc<Mutex<HashMap<(String, String), u64>>>);

impl Outcomes {
    /// The counts by stage and outcome.
    #[must_use]
    pub fn snapshot(&self) -> HashMap<(String, String), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, stage: &str, outcome: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((stage.to_owned(), outcome.to_owned())).or_default() += 1;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Error,
}

/// The log of one function, shared by its processes.
pub(super) struct FunctionLog {
    function: String,
    file: Mutex<LogFile>,
    warning_tail: Mutex<VecDeque<String>>,
    outcomes: Outcomes,
}

impl FunctionLog {
    /// Truncates the log file: it holds this run only.
    pub(super) fn create(function: &str, path: &Path, outcomes: Outcomes) -> io::Result<Self> {
        Ok(Self {
            function: function.to_owned(),
            file: Mutex::new(LogFile::create(path)?),
            warning_tail: Mutex::default(),
            outcomes,
        })
    }

    /// Reads lines until the process closes the stream. The rest of a line that is too long is only
    /// written.
    pub(super) async fn read(&self, source: impl AsyncRead + Unpin, stream: Stream) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        let mut is_start = true;
        loop {
            line.clear();
            match (&mut source).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.write(&line),
            }
            if is_start {
                self.inspect(&line, stream);
            }
            is_start = line.ends_with(b"\n");
        }
    }

    pub(super) fn report(&self, report: &Report<'_>) {
        self.write(report.line(Timestamp::now()).as_bytes());
    }

    fn write(&self, bytes: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write(bytes) {
            tracing::warn!(function = self.function, %error, "cannot write to the log file");
        }
    }

    fn inspect(&self, line: &[u8], stream: Stream) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        match classify(text, stream) {
            Line::Outcome { stage, outcome } => self.outcomes.count(&stage, &outcome),
            Line::Warning(message) => {
                tracing::warn!(function = self.function, "{message}");
                let mut last = self.warning_tail.lock().unwrap_or_else(PoisonError::into_inner);
                if last.len() == WARNING_TAIL_LINES {
                    last.pop_front();
                }
                last.push_back(message);
            }
            Line::Other => {}
        }
    }

    /// Takes the last warnings.
    pub(super) fn take_warning_tail(&self) -> String {
        let mut last = self.warning_tail.lock().unwrap_or_else(PoisonError::into_inner);
        last.drain(..).collect::<Vec<_>>().join("\n")
    }
}

struct LogFile {
    path: PathBuf,
    file: File,
    bytes: usize,
}

impl LogFile {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::create(path)?, bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.saturating_add(bytes.len()) > MAX_FILE_BYTES {
            std::fs::rename(&self.path, self.path.with_added_extension("1"))?;
            *self = Self::create(&self.path)?;
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.file.write_all(bytes)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Outcome { stage: String, outcome: String },
    Warning(String),
    Other,
}

fn classify(line: &str, stream: Stream) -> Line {
    if line.is_empty() {
        return Line::Other;
    }
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return match stream {
            Stream::Error => Line::Warning(warning(line)),
            Stream::Output => Line::Other,
        };
    };
    // `tracing` writes the fields flat or under `fields`, depending on its format.
    let field = |name: &str| {
        object
            .get(name)
            .or_else(|| object.get("fields").and_then(|fields| fields.get(name)))
            .and_then(Value::as_str)
    };
    if let (Some(stage), Some(outcome)) = (field("stage"), field("outcome")) {
        return Line::Outcome { stage: stage.to_owned(), outcome: outcome.to_owned() };
    }
    match field("level") {
        Some("WARN" | "ERROR") => Line::Warning(warning(line)),
        _ => Line::Other,
    }
}

fn warning(line: &str) -> String {
    printable_start(line.as_bytes(), MAX_WARNING_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_line_is_counted_whether_its_fields_are_flat_or_nested() {
        let expected =
            Line::Outcome { stage: "greeter".to_owned(), outcome: "accepted".to_owned() };
        let flat = r#"{"level":"INFO","stage":"greeter","outcome":"accepted"}"#;
        let nested = r#"{"level":"INFO","fields":{"stage":"greeter","outcome":"accepted"}}"#;
        assert_eq!(classify(flat, Stream::Output), expected);
        assert_eq!(classify(nested, Stream::Output), expected);
    }

    #[test]
    fn warnings_and_panics_are_passed_on() {
        let warning = r#"{"level":"WARN","message":"the broker does not respond"}"#;
        assert!(matches!(classify(warning, Stream::Output), Line::Warning(_)));
        assert!(matches!(classify("thread panicked", Stream::Error), Line::Warning(_)));
        assert_eq!(classify("just text", Stream::Output), Line::Other);
        assert_eq!(classify(r#"{"level":"INFO"}"#, Stream::Error), Line::Other);
    }

    #[tokio::test]
    async fn a_log_keeps_its_newest_lines_in_two_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greeter.log");
        let log = FunctionLog::create("greeter", &path, Outcomes::default()).unwrap();
        let line = |number: usize| format!("{number:01023}\n");
        let lines: String = (0..40 * 1024).map(line).collect();
        log.read(lines.as_bytes(), Stream::Output).await;
        let kept = [path.with_added_extension("1"), path].map(|path| std::fs::read(path).unwrap());
        let kept = String::from_utf8(kept.concat()).unwrap();
        assert!(lines.ends_with(&kept) && kept.len() > MAX_FILE_BYTES, "{}", kept.len());
        assert!(kept.len() <= 2 * MAX_FILE_BYTES);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_read_in_parts_and_is_one_warning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greeter.log");
        let log = FunctionLog::create("greeter", &path, Outcomes::default()).unwrap();
        let endless = tokio::io::repeat(b'x').take(40 * 1024 * 1024);
        log.read(endless, Stream::Error).await;
        assert_eq!(log.take_warning_tail(), format!("{}… (258048 bytes more)", "x".repeat(4096)));
        let rotated = std::fs::metadata(path.with_added_extension("1")).unwrap();
        assert_eq!(rotated.len(), u64::try_from(MAX_FILE_BYTES).unwrap());
        log.read(&b"\nGREETING is not set\n"[..], Stream::Error).await;
        assert_eq!(log.take_warning_tail(), "GREETING is not set");
    }

    #[tokio::test]
    async fn every_line_is_written_and_warnings_are_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greeter.log");
        let outcomes = Outcomes::default();
        let log = FunctionLog::create("greeter", &path, outcomes.clone()).unwrap();
        let lines = "{\"stage\":\"greeter\",\"outcome\":\"rejected\"}\nGREETING is not set\n";
        log.read(lines.as_bytes(), Stream::Error).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines);
        assert_eq!(log.take_warning_tail(), "GREETING is not set");
        assert_eq!(log.take_warning_tail(), "");
        let counted = ("greeter".to_owned(), "rejected".to_owned());
        assert_eq!(outcomes.snapshot().get(&counted), Some(&1));
    }
}
