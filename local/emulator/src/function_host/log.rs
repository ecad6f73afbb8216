//! The output of the functions.
//!
//! Every line goes to the function's log file. Outcome lines are counted. Warnings, errors and
//! lines on standard error that are not JSON are also logged by this process, where a person sees
//! them.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use terminal::printable;

/// Number of warnings that are kept to explain an exit.
const WARNING_TAIL_LINES: usize = 12;

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
    file: Mutex<File>,
    warning_tail: Mutex<VecDeque<String>>,
    outcomes: Outcomes,
}

impl FunctionLog {
    /// Truncates the log file: it holds this run only.
    pub(super) fn create(function: &str, path: &Path, outcomes: Outcomes) -> io::Result<Self> {
        Ok(Self {
            function: function.to_owned(),
            file: Mutex::new(File::create(path)?),
            warning_tail: Mutex::default(),
            outcomes,
        })
    }

    /// Reads lines until the process closes the stream.
    pub(super) async fn read(&self, source: impl AsyncRead + Unpin, stream: Stream) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        loop {
            line.clear();
            match source.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.take(&line, stream),
            }
        }
    }

    fn take(&self, line: &[u8], stream: Stream) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line) {
            tracing::warn!(function = self.function, %error, "cannot write to the log file");
        }
        drop(file);
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
            Stream::Error => Line::Warning(printable(line)),
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
        Some("WARN" | "ERROR") => Line::Warning(printable(line)),
        _ => Line::Other,
    }
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
