//! Errors that end the program: one line on standard error, and an exit code.

use std::error::Error;
use std::process::ExitCode;

#[derive(Debug)]
pub enum ExitError {
    /// The start failed.
    Start(String),
    /// The run failed.
    Run(String),
    /// The books do not balance. The report is already printed.
    Unbalanced,
    /// A signal stopped the program.
    Interrupted,
}

impl ExitError {
    /// A failed start, with the error's sources.
    pub fn start(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Start(error_chain(error.into().as_ref()))
    }

    /// A failed run, with the error's sources.
    pub fn run(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Run(error_chain(error.into().as_ref()))
    }

    /// The line to print, if any.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Start(message) | Self::Run(message) => Some(format!("error: {message}")),
            Self::Unbalanced => None,
            Self::Interrupted => Some("interrupted".to_owned()),
        }
    }

    pub fn code(&self) -> ExitCode {
        match self {
            Self::Start(_) => ExitCode::from(2),
            Self::Run(_) | Self::Unbalanced => ExitCode::from(1),
            // The shells' exit code for SIGINT.
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

/// The error and its sources in one line, without repeated sources.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn an_error_chain_has_no_repetition() {
        let deepest = Link("connection refused", None);
        let repeated = Link("connection refused", Some(Box::new(deepest)));
        let error = Link("no broker answers at a:1: start it", Some(Box::new(repeated)));
        assert_eq!(error_chain(&error), "no broker answers at a:1: start it: connection refused");
    }
}
