//! The functions' output: kept in log files, its decision lines counted.
//!
//! Every line is kept in the function's log file. Decision lines are counted; warnings, errors and
//! whatever is not JSON on standard error are passed on, so that no fault stays in a file.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::foreign_text::printable;

/// How many lines of standard error are kept to explain an exit.
const LAST_WORDS: usize = 12;

/// How many records each stage has accepted, rejected, redelivered and so on.
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

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Error,
}

/// The log of one function, shared by its processes.
pub(super) struct FunctionLog {
    function: String,
    file: Mutex<File>,
    last_words: Mutex<VecDeque<String>>,
    outcomes: Outcomes,
}

impl FunctionLog {
    /// Opens the log file, empty: it holds this run only.
    pub(super) fn create(function: &str, path: &Path, outcomes: Outcomes) -> io::Result<Self> {
        Ok(Self {
            function: function.to_owned(),
            file: Mutex::new(File::create(path)?),
            last_words: Mutex::default(),
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
            tracing::warn!(function = self.function, %error, "a line of the log is lost");
        }
        drop(file);
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        match reading(text, stream) {
            Reading::Outcome { stage, outcome } => self.outcomes.count(&stage, &outcome),
            Reading::Alarming(message) => {
                tracing::warn!(function = self.function, "{message}");
                let mut last = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
                if last.len() == LAST_WORDS {
                    last.pop_front();
                }
                last.push_back(message);
            }
            Reading::Ordinary => {}
        }
    }

    /// The alarming lines so far, forgotten once told.
    pub(super) fn last_words(&self) -> String {
        let mut last = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        last.drain(..).collect::<Vec<_>>().join("\n")
    }
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Outcome { stage: String, outcome: String },
    Alarming(String),
    Ordinary,
}

fn reading(line: &str, stream: Stream) -> Reading {
    if line.is_empty() {
        return Reading::Ordinary;
    }
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return match stream {
            Stream::Error => Reading::Alarming(printable(line)),
            Stream::Output => Reading::Ordinary,
        };
    };
    // `tracing` writes the fields flat or under `fields`, as its format is set.
    let field = |name: &str| {
        object
            .get(name)
            .or_else(|| object.get("fields").and_then(|fields| fields.get(name)))
            .and_then(Value::as_str)
    };
    if let (Some(stage), Some(outcome)) = (field("stage"), field("outcome")) {
        return Reading::Outcome { stage: stage.to_owned(), outcome: outcome.to_owned() };
    }
    match field("level") {
        Some("WARN" | "ERROR") => Reading::Alarming(printable(line)),
        _ => Reading::Ordinary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_line_is_counted_whether_its_fields_are_flat_or_nested() {
        let expected =
            Reading::Outcome { stage: "payment".to_owned(), outcome: "accepted".to_owned() };
        let flat = r#"{"level":"INFO","stage":"payment","outcome":"accepted"}"#;
        let nested = r#"{"level":"INFO","fields":{"stage":"payment","outcome":"accepted"}}"#;
        assert_eq!(reading(flat, Stream::Output), expected);
        assert_eq!(reading(nested, Stream::Output), expected);
    }

    #[test]
    fn warnings_and_panics_are_passed_on() {
        let warning = r#"{"level":"WARN","message":"the broker is away"}"#;
        assert!(matches!(reading(warning, Stream::Output), Reading::Alarming(_)));
        assert!(matches!(reading("thread panicked", Stream::Error), Reading::Alarming(_)));
        assert_eq!(reading("just text", Stream::Output), Reading::Ordinary);
        assert_eq!(reading(r#"{"level":"INFO"}"#, Stream::Error), Reading::Ordinary);
    }

    #[tokio::test]
    async fn every_line_is_kept_and_the_alarming_ones_are_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payment.log");
        let outcomes = Outcomes::default();
        let log = FunctionLog::create("payment", &path, outcomes.clone()).unwrap();
        let lines = "{\"stage\":\"payment\",\"outcome\":\"rejected\"}\nPAYMENT_TABLE is not set\n";
        log.read(lines.as_bytes(), Stream::Error).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines);
        assert_eq!(log.last_words(), "PAYMENT_TABLE is not set");
        assert_eq!(log.last_words(), "");
        let counted = ("payment".to_owned(), "rejected".to_owned());
        assert_eq!(outcomes.snapshot().get(&counted), Some(&1));
    }
}
