//! Keeps other pages of this machine from steering the stack: they may use the API only.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use emulator::loopback::problem;

pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    if is_same_origin(request.headers()) {
        next.run(request).await
    } else {
        problem(StatusCode::FORBIDDEN, "cross-origin requests are not allowed")
    }
}

/// Programs other than browsers send no origin.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let origin = headers.get(ORIGIN).map(|origin| origin.as_bytes().strip_prefix(b"http://"));
    origin.is_none_or(|from| from.is_some() && from == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_itself_steers_the_stack() {
        let from = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:3000"));
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            is_same_origin(&headers)
        };
        assert!(from("http://localhost:3000"));
        assert!(is_same_origin(&HeaderMap::new()));
        for origin in ["http://localhost:5173", "https://localhost:3000", "null", ""] {
            assert!(!from(origin), "{origin}");
        }
    }
}
