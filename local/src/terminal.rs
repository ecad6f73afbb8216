//! How does the program speak to a person without tearing its own progress display?
//!
//! Every line, those of the log included, goes through here: the bars make room for it. A reader
//! that went away (`| head`) is no fault.

use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
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
        // Nobody is left to be told that nobody listens.
        self.bars.suspend(|| writeln!(io::stdout().lock(), "{text}").ok());
    }

    /// Prints to standard error.
    pub(crate) fn complain(&self, text: &str) {
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
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().lock().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
