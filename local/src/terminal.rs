//! How does the program speak to a person without tearing its own progress display?
//!
//! Every line, those of the log included, goes through here: the bars make room for it, and no
//! character of it steers the terminal. A reader that went away (`| head`) is no fault.

use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use local::foreign_text::printable;
use tracing_subscriber::fmt::MakeWriter;

/// Standard output, standard error and the bars on it.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    bars: MultiProgress,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { bars: MultiProgress::new() }
    }

    /// Prints to standard output.
    pub(crate) fn say(&self, text: &str) {
        let text = printable_lines(text);
        // Nobody is left to be told that nobody listens.
        self.bars.suspend(|| writeln!(io::stdout().lock(), "{text}").ok());
    }

    /// Prints to standard error.
    pub(crate) fn complain(&self, text: &str) {
        let text = printable_lines(text);
        self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}").ok());
    }

    /// Whether a person watches, so that bars can be drawn.
    pub(crate) fn is_watched() -> bool {
        io::stderr().is_terminal() && io::stdout().is_terminal()
    }

    /// Where bars are drawn.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }
}

impl Write for Terminal {
    /// Takes a line of the log as a whole.
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

/// The lines of a text that this program has put together; whatever others wrote in them must be
/// printable already, or it could add lines.
fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
