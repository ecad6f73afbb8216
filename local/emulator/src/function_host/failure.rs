//! The error payload of a failed invocation, in Lambda's words.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;

/// The JSON that the Invoke API responds with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(pub(super) Bytes);

impl Failure {
    fn new(error_type: &str, message: &str) -> Self {
        let body = json!({ "errorType": error_type, "errorMessage": message });
        Self(body.to_string().into())
    }

    pub(super) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let message = format!(
            "RequestId: {request_id} Error: Task timed out after {}.{:02} seconds",
            timeout.as_secs(),
            timeout.subsec_millis() / 10
        );
        Self::new("Sandbox.Timedout", &message)
    }

    /// The process exited before it responded.
    pub(super) fn exited(request_id: &str, status: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: Runtime exited with error: {status}");
        Self::new("Runtime.ExitError", &message)
    }

    pub(super) fn response_too_large(limit: usize) -> Self {
        let message =
            format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
        Self::new("Function.ResponseSizeTooLarge", &message)
    }

    /// The host stops while the invocation is queued.
    pub(super) fn stopping() -> Self {
        Self::new("Runtime.ExitError", "The function host is stopping")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_names_its_limit_as_lambda_does() {
        let Failure(body) = Failure::timed_out("id", Duration::from_millis(2_500));
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("Task timed out after 2.50 seconds"), "{text}");
        assert!(text.contains("Sandbox.Timedout"), "{text}");
    }
}
