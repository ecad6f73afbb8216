//! What goes wrong is told as a problem document (RFC 9457) that says what to do.

use engine::error::Error;
use serde_json::json;

use crate::answer::Answer;

/// After how many seconds a request that could not be served may be sent again.
const RETRY_AFTER_SECONDS: &str = "5";

const PROBLEM: &str = "application/problem+json";

/// A problem document that says what to do.
pub(crate) fn problem(status: u16, detail: &str) -> Answer {
    let title = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let body = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    Answer::new(status, PROBLEM, &body)
}

/// There is no such order, or none that the caller may know of: both sound the same.
pub(crate) fn no_such_order() -> Answer {
    problem(404, "no order has this id: it is the one that POST /orders gave")
}

/// The path takes other methods only.
pub(crate) fn method_not_allowed(allowed: &str) -> Answer {
    let detail = format!("this path takes {allowed} only");
    problem(405, &detail).with("allow", allowed)
}

/// The request may be sent again: with its `Idempotency-Key`, it is the same order.
pub(crate) fn unavailable(error: &Error) -> Answer {
    tracing::warn!(error = error.chain(), "a request could not be served");
    problem(503, "the order workflow cannot be reached just now: send the same request again later")
        .with("retry-after", RETRY_AFTER_SECONDS)
}

/// Something was done for an order, or may have been; the request may be sent again.
pub(crate) fn order_unavailable(error: &Error, order_id: &str, detail: &str) -> Answer {
    tracing::warn!(orderId = order_id, error = error.chain(), "a request could not be served");
    let body = json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": detail,
        "orderId": order_id,
    });
    Answer::new(503, PROBLEM, &body).with("retry-after", RETRY_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_problem_says_what_to_do_and_how_it_is_written() {
        let response =
            serde_json::to_value(method_not_allowed("GET, POST").into_response()).unwrap();
        assert_eq!(response["statusCode"], 405);
        assert_eq!(response["headers"]["allow"], "GET, POST");
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["title"], "Method Not Allowed");
        assert_eq!(body["detail"], "this path takes GET, POST only");
    }
}
