//! Errors by their handling: a transient one is retried, a permanent one needs a person.

use std::{borrow::Cow, error::Error as StdError, sync::Arc, time::Duration};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use backon::{BackoffBuilder, ExponentialBuilder};

type Cause = Box<dyn StdError + Send + Sync>;

/// A failed operation that may succeed later: retried within the time left, then redelivered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation}")]
pub struct TransientError {
    operation: Cow<'static, str>,
    /// The code of a service's error.
    code: Option<String>,
    #[source]
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A state that cannot occur unless the code or the data is wrong: a person must act. Not retried,
/// so that nothing waits behind it: its record becomes a dead letter.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PermanentError(String);

/// The error of a record that is not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It may succeed later.
    #[error(transparent)]
    Transient(#[from] TransientError),
    /// A person must act.
    #[error(transparent)]
    Permanent(#[from] PermanentError),
}

impl TransientError {
    pub fn new(operation: impl Into<Cow<'static, str>>, cause: impl Into<Cause>) -> Self {
        Self { operation: operation.into(), code: None, cause: Some(Arc::from(cause.into())) }
    }

    /// A deadline that passed, and the last error before it.
    #[must_use]
    pub fn timed_out(operation: &str, last: Option<Self>) -> Self {
        let operation = format!("deadline exceeded while {operation}").into();
        let cause: Option<Arc<dyn StdError + Send + Sync>> = match last {
            Some(last) => Some(Arc::new(last)),
            None => None,
        };
        Self { operation, code: None, cause }
    }

    /// A request that failed at DynamoDB or another service of AWS.
    pub fn aws<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let cause = response_error(error).unwrap_or_else(|| request_error(error));
        Self { code: error.code().map(str::to_owned), ..Self::new(operation, cause) }
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The error and all its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

impl PermanentError {
    /// The text says what a person must do.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Error {
    /// The error and all its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// The error in a response of AWS; `None` without a response.
///
/// Keeps only the code of a service's error, and nothing of an unreadable response: both may quote a
/// whole item.
pub fn response_error<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<String> {
    match error {
        SdkError::ServiceError(_) => {
            Some(error.code().unwrap_or("the response has no code").to_owned())
        }
        SdkError::ResponseError(_) => Some("the response cannot be read".to_owned()),
        _ => None,
    }
}

/// The error of a request of AWS that has no response, with its causes.
///
/// Of a request that could not even be sent only the last cause: those before it may quote an item.
pub fn request_error<E, R>(error: &SdkError<E, R>) -> String
where
    E: StdError + 'static,
    R: std::fmt::Debug,
{
    let mut cause: &dyn StdError = error;
    if matches!(error, SdkError::DispatchFailure(failure) if failure.is_other()) {
        while let Some(source) = cause.source() {
            cause = source;
        }
    }
    chain(cause)
}

fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// The jittered pause before the given retry, counted from 0.
pub(crate) fn backoff(attempt: usize) -> Duration {
    const MAX: Duration = Duration::from_millis(300);
    // Short at first: most transient errors are conflicts between two orders on one item.
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(MAX)
        .with_jitter()
        .without_max_times()
        .build()
        .nth(attempt.min(16))
        .unwrap_or(MAX)
}
