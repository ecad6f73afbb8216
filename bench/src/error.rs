//! The error of a measurement: failed operation, cause, remedy.

use std::error::Error;

/// Ends the program, because a failed benchmark has no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{operation}")]
    Failed {
        operation: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{0}")]
    Invalid(String),
}

pub(crate) type Result<T> = std::result::Result<T, BenchError>;

/// Adds the failed operation to a library's error.
pub(crate) trait Context<T> {
    fn context(self, operation: impl Into<String>) -> Result<T>;
}

impl<T, E: Error + Send + Sync + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, operation: impl Into<String>) -> Result<T> {
        self.map_err(|source| BenchError::Failed {
            operation: operation.into(),
            source: Box::new(source),
        })
    }
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
