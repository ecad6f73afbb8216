//! Prints lines and progress bars on one terminal.
//!
//! All output, the log included, goes through [`Terminal`]: it suspends the bars while it prints,
//! and replaces control characters. A closed pipe (`| head`) is not an error.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use crate::{exit::ExitError, printable::printable};
use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;

/// Standard output, and standard error with its progress bars.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    bars: MultiProgress,
}

impl Terminal {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn println(&self, text: &str) {
        let text = printable_lines(text);
        // A closed pipe cannot be reported.
        self.bars.suspend(|| writeln!(io::stdout().lock(), "{text}").ok());
    }

    pub fn eprintln(&self, text: &str) {
        let text = printable_lines(text);
        self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}").ok());
    }

    /// Prints the error, if it has a message, and returns the program's exit code. Further lines are
    /// indented: they may be foreign text.
    #[must_use]
    pub fn exit_code(&self, result: Result<(), ExitError>) -> ExitCode {
        let Err(error) = result else { return ExitCode::SUCCESS };
        if let Some(message) = error.message() {
            self.eprintln(&message.replace('\n', "\n  "));
        }
        error.code()
    }

    /// Bars are drawn if standard output and standard error are terminals.
    pub fn is_watched() -> bool {
        io::stderr().is_terminal() && io::stdout().is_terminal()
    }

    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }
}

impl Write for Terminal {
    /// Expects one complete log line per call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = printable(text.trim_end_matches('\n'));
        self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}"))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Keeps the line breaks of the text. Foreign text in it must be [`printable`] already, or it could
/// add lines.
fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
