//! A client of Lambda's Invoke API.
//!
//! It distinguishes a function that failed from a call that did not reach a function: only the
//! former counts as an attempt.

use std::time::Duration;

use axum::body::Bytes;
use reqwest::{Client, StatusCode};
use serde::Deserialize;

use crate::template::FunctionName;

/// Longer than the 15 minutes that a function may run.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(16 * 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A burst of requests leaves its connections for this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one Invoke API.
#[derive(Debug, Clone)]
pub struct InvokeClient {
    url: String,
    http: Client,
}

/// The result of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvokeResponse {
    /// The response of the function.
    Returned(Bytes),
    Failed(FunctionError),
}

/// The error that a function reported.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    #[serde(default)]
    pub error_message: String,
    #[serde(default)]
    pub error_type: String,
}

/// Why a function was not invoked, or possibly not.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The API does not respond, or the connection broke.
    #[error("the Invoke API at {url} does not respond: start it, or omit --lambda")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the Invoke API at {url} has no function named {function}: build it or start it there")]
    NoSuchFunction { url: String, function: String },
    #[error("the event for {function} exceeds Lambda's limit of 6 MB")]
    TooLarge { function: String },
    /// Lambda throttled the invocation or failed itself.
    #[error("the Invoke API at {url} responded {status} for {function}: {body}")]
    Service { url: String, function: String, status: u16, body: String },
}

impl InvokeClient {
    #[must_use]
    pub fn new(url: &str) -> Self {
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .unwrap_or_default();
        Self { url: url.trim_end_matches('/').to_owned(), http }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Invokes a function and waits for its response.
    ///
    /// The function host and cargo-lambda name a function after its binary, SAM after its logical
    /// id: if the first is unknown, the second is tried.
    ///
    /// # Errors
    /// [`InvokeError`] when the function was not invoked.
    pub async fn invoke(
        &self,
        function: &FunctionName,
        event: Bytes,
    ) -> Result<InvokeResponse, InvokeError> {
        match self.post(&function.binary, event.clone()).await {
            Err(InvokeError::NoSuchFunction { .. }) => {
                self.post(&function.logical_id, event).await.map_err(|error| match error {
                    InvokeError::NoSuchFunction { url, .. } => {
                        InvokeError::NoSuchFunction { url, function: function.binary.clone() }
                    }
                    other => other,
                })
            }
            result => result,
        }
    }

    async fn post(&self, function: &str, event: Bytes) -> Result<InvokeResponse, InvokeError> {
        let unreachable = |source| InvokeError::Unreachable { url: self.url.clone(), source };
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.url);
        let response = self.http.post(url).body(event).send().await.map_err(unreachable)?;
        let status = response.status();
        let failed = response.headers().contains_key("x-amz-function-error");
        let body = response.bytes().await.map_err(unreachable)?;
        match (status, failed) {
            (_, true) => Ok(InvokeResponse::Failed(function_error(&body))),
            (status, false) if status.is_success() => Ok(InvokeResponse::Returned(body)),
            // cargo-lambda marks a function's error only by the status.
            (StatusCode::INTERNAL_SERVER_ERROR, false) if is_function_error(&body) => {
                Ok(InvokeResponse::Failed(function_error(&body)))
            }
            (StatusCode::NOT_FOUND, false) => Err(InvokeError::NoSuchFunction {
                url: self.url.clone(),
                function: function.to_owned(),
            }),
            (StatusCode::PAYLOAD_TOO_LARGE, false) => {
                Err(InvokeError::TooLarge { function: function.to_owned() })
            }
            (status, false) => Err(InvokeError::Service {
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
    fn an_error_that_is_not_json_becomes_the_message() {
        let error = function_error(b"segmentation fault");
        assert_eq!(error.error_message, "segmentation fault");
    }

    #[test]
    fn an_error_of_the_service_is_not_an_error_of_the_function() {
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
