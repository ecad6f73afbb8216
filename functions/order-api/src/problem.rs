//! Error responses: problem documents (RFC 9457) with the correction.

use engine::error::{Error, TransientError};
use serde_json::json;

use crate::response::Response;

/// The time after which a client may retry.
const RETRY_AFTER_SECONDS: &str = "5";

const PROBLEM: &str = "application/problem+json";

pub(crate) fn problem(status: u16, detail: &str) -> Response {
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
    Response::new(status, PROBLEM, &body)
}

/// The same response for an order that does not exist and for one that the caller may not see.
pub(crate) fn no_such_order() -> Response {
    problem(404, "no order has this id: it is the one that POST /orders gave")
}

pub(crate) fn method_not_allowed(allowed: &str) -> Response {
    let detail = format!("this path allows {allowed} only");
    problem(405, &detail).with("allow", allowed)
}

/// Retryable: with its `Idempotency-Key`, a request is the same order.
pub(crate) fn unavailable(error: &TransientError) -> Response {
    tracing::warn!(error = error.chain(), "a request could not be served");
    problem(503, "the order workflow cannot be reached just now: send the same request again later")
        .with("retry-after", RETRY_AFTER_SECONDS)
}

/// Logs that a person must correct a row of the order.
pub(crate) fn report_damaged(error: &dyn std::error::Error, order_id: &str) {
    tracing::error!(orderId = order_id, %error, "a person must act: the order's rows are damaged");
}

/// Not retryable before a person has corrected the order's rows.
pub(crate) fn damaged(error: &dyn std::error::Error, order_id: &str) -> Response {
    report_damaged(error, order_id);
    problem(500, "what is stored about this order cannot be read: tell those who run this service")
}

/// Retryable, although the order may be stored, unless its rows are damaged.
pub(crate) fn order_unavailable(error: &Error, order_id: &str, detail: &str) -> Response {
    if let Error::Permanent(error) = error {
        return damaged(error, order_id);
    }
    tracing::warn!(orderId = order_id, error = error.chain(), "a request could not be served");
    let body = json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": detail,
        "orderId": order_id,
    });
    Response::new(503, PROBLEM, &body).with("retry-after", RETRY_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_problem_says_what_to_do_and_how_it_is_written() {
        let response =
            serde_json::to_value(method_not_allowed("GET, POST").into_api_gateway()).unwrap();
        assert_eq!(response["statusCode"], 405);
        assert_eq!(response["headers"]["allow"], "GET, POST");
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["title"], "Method Not Allowed");
        assert_eq!(body["detail"], "this path allows GET, POST only");
    }
}
