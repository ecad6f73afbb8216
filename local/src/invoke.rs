//! How is a function invoked over Lambda's Invoke API, wherever that is served?
//!
//! A failing function and a call that did not reach a function are told apart: only the former
//! counts as an attempt.

use std::time::Duration;

use axum::body::Bytes;
use reqwest::{Client, StatusCode};
use serde::Deserialize;

use crate::template::FunctionName;

/// A function runs 15 minutes at most, so no answer takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(16 * 60);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// A client of the Invoke API.
#[derive(Debug, Clone)]
pub struct InvokeClient {
    url: String,
    http: Client,
}

/// What came of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The function returned this.
    Returned(Bytes),
    /// The function failed.
    Failed(FunctionError),
}

/// How a function failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// What it says went wrong.
    #[serde(default)]
    pub error_message: String,
    /// The kind of error.
    #[serde(default)]
    pub error_type: String,
}

/// Why a function was not invoked, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// Nothing answers, or the connection broke.
    #[error("no answer from the Invoke API at {url}: start it, or leave out --lambda")]
    Unreachable {
        /// The Invoke API.
        url: String,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
    /// There is no such function.
    #[error(
        "the Invoke API at {url} knows no function named {function}: build it or start it there"
    )]
    NoSuchFunction {
        /// The Invoke API.
        url: String,
        /// The function's name.
        function: String,
    },
    /// The event is larger than Lambda takes.
    #[error("the event for {function} is larger than the 6 MB that Lambda takes")]
    TooLarge {
        /// The function's name.
        function: String,
    },
    /// Lambda is busy or in trouble.
    #[error("the Invoke API at {url} answered {status} for {function}: {body}")]
    Trouble {
        /// The Invoke API.
        url: String,
        /// The function's name.
        function: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
}

impl InvokeClient {
    /// A client of the Invoke API at this URL.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let http = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .tcp_nodelay(true)
            .build()
            .unwrap_or_default();
        Self { url: url.trim_end_matches('/').to_owned(), http }
    }

    /// The URL of the Invoke API.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Invokes a function and waits for what it returns.
    ///
    /// A function is known by its binary's name to this stack's host and to cargo-lambda, and by
    /// its logical id to SAM: where the first is unknown, the second is tried.
    ///
    /// # Errors
    /// [`InvokeError`] when the function was not invoked.
    pub async fn invoke(
        &self,
        function: &FunctionName,
        event: Bytes,
    ) -> Result<Answer, InvokeError> {
        match self.post(&function.binary, event.clone()).await {
            Err(InvokeError::NoSuchFunction { .. }) => {
                self.post(&function.logical_id, event).await.map_err(|error| match error {
                    InvokeError::NoSuchFunction { url, .. } => {
                        InvokeError::NoSuchFunction { url, function: function.binary.clone() }
                    }
                    other => other,
                })
            }
            answer => answer,
        }
    }

    async fn post(&self, function: &str, event: Bytes) -> Result<Answer, InvokeError> {
        let unreachable = |source| InvokeError::Unreachable { url: self.url.clone(), source };
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.url);
        let response = self.http.post(url).body(event).send().await.map_err(unreachable)?;
        let status = response.status();
        let failed = response.headers().contains_key("x-amz-function-error");
        let body = response.bytes().await.map_err(unreachable)?;
        match (status, failed) {
            (_, true) => Ok(Answer::Failed(function_error(&body))),
            (status, false) if status.is_success() => Ok(Answer::Returned(body)),
            // cargo-lambda marks a function's error by the status alone.
            (StatusCode::INTERNAL_SERVER_ERROR, false) if is_function_error(&body) => {
                Ok(Answer::Failed(function_error(&body)))
            }
            (StatusCode::NOT_FOUND, false) => Err(InvokeError::NoSuchFunction {
                url: self.url.clone(),
                function: function.to_owned(),
            }),
            (StatusCode::PAYLOAD_TOO_LARGE, false) => {
                Err(InvokeError::TooLarge { function: function.to_owned() })
            }
            (status, false) => Err(InvokeError::Trouble {
                url: self.url.clone(),
                function: function.to_owned(),
                status: status.as_u16(),
                body: String::from_utf8_lossy(&body).into_owned(),
            }),
        }
    }
}

fn is_function_error(body: &[u8]) -> bool {
    serde_json::from_slice::<FunctionError>(body).is_ok_and(|error| !error.error_type.is_empty())
}

fn function_error(body: &[u8]) -> FunctionError {
    serde_json::from_slice(body).unwrap_or_else(|_| FunctionError {
        error_message: String::from_utf8_lossy(body).into_owned(),
        error_type: "Unhandled".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_no_json_is_kept_as_its_message() {
        let error = function_error(b"segmentation fault");
        assert_eq!(error.error_message, "segmentation fault");
    }

    #[test]
    fn trouble_of_the_service_is_no_error_of_the_function() {
        assert!(is_function_error(br#"{"errorType":"Io","errorMessage":"no disk"}"#));
        assert!(!is_function_error(br#"{"title":"Server error"}"#));
        assert!(!is_function_error(b"internal error"));
    }

    #[test]
    fn an_error_is_read_as_the_runtime_wrote_it() {
        let error =
            function_error(br#"{"errorType":"Io","errorMessage":"no disk","stackTrace":[]}"#);
        assert_eq!(error.error_type, "Io");
        assert_eq!(error.error_message, "no disk");
    }
}
