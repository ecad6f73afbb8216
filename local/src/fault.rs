//! How does the program end when it cannot do as asked? With one line and a status of its own.

use std::error::Error;
use std::process::ExitCode;

/// Why the program ends without success.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It could not start as asked.
    Start(String),
    /// It started, and something made it give up.
    Run(String),
    /// The books do not balance; the report has said so.
    Unbalanced,
    /// A signal ended it.
    Interrupted,
}

impl Fault {
    /// A fault at the start, told with everything that led to it.
    pub(crate) fn start(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Start(chain(error.into().as_ref()))
    }

    /// A fault during the run, told with everything that led to it.
    pub(crate) fn run(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Run(chain(error.into().as_ref()))
    }

    /// What is left to say; `None` where all has been said.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Start(message) | Self::Run(message) => Some(format!("error: {message}")),
            Self::Unbalanced => None,
            Self::Interrupted => Some("stopped before the end".to_owned()),
        }
    }

    pub(crate) fn status(&self) -> ExitCode {
        match self {
            Self::Start(_) => ExitCode::from(2),
            Self::Run(_) | Self::Unbalanced => ExitCode::from(1),
            // What shells report for SIGINT.
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

/// The error and its sources in one line; a source that is only repeated is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
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
    fn an_error_is_told_with_its_sources_and_without_repetition() {
        let deepest = Link("connection refused", None);
        let repeated = Link("connection refused", Some(Box::new(deepest)));
        let error = Link("no broker answers at a:1: start it", Some(Box::new(repeated)));
        assert_eq!(chain(&error), "no broker answers at a:1: start it: connection refused");
    }
}
