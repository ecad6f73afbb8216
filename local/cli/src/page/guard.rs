//! Rejects cross-origin requests and DNS rebinding.
//!
//! Any page in a browser can send requests to 127.0.0.1, and any DNS name can point there. The
//! browser sends the name in `Host` and the page's origin in `Origin`.

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Prefix of the page's own paths.
pub(super) const OWN_PATHS: &str = "/_page/";

const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

pub(super) async fn guard(request: Request, next: Next) -> Response {
    match rejection(request.method(), request.uri().path(), request.headers()) {
        None => next.run(request).await,
        Some((status, detail)) => problem(status, detail),
    }
}

/// The response to a rejected request; `None` if it is allowed.
fn rejection(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    if host.is_some_and(|host| !is_loopback(host)) {
        let detail = "this server accepts the host names 127.0.0.1 and localhost only";
        return Some((StatusCode::MISDIRECTED_REQUEST, detail));
    }
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return None;
    }
    // Programs other than browsers send no origin.
    let origin = headers.get(ORIGIN)?.as_bytes();
    let from = origin.strip_prefix(b"http://").unwrap_or_default();
    let may = if path.starts_with(OWN_PATHS) { Some(from) == host } else { is_loopback(from) };
    let detail = "cross-origin requests are not allowed";
    (!may).then_some((StatusCode::FORBIDDEN, detail))
}

fn is_loopback(authority: &[u8]) -> bool {
    Authority::try_from(authority).is_ok_and(|authority| LOOPBACK.contains(&authority.host()))
}

/// A problem document (RFC 9457).
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
    });
    let content_type = HeaderValue::from_static("application/problem+json");
    (status, [(CONTENT_TYPE, content_type)], Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection_status(
        method: &Method,
        path: &str,
        host: &str,
        origin: Option<&str>,
    ) -> Option<u16> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        rejection(method, path, &headers).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn a_foreign_host_name_is_rejected() {
        for host in ["127.0.0.1:3000", "localhost", "[::1]:3000"] {
            assert_eq!(rejection_status(&Method::GET, "/", host, None), None, "{host}");
        }
        for host in ["evil.example:3000", "127.0.0.1.evil.example", "localhost@evil.example", ""] {
            assert_eq!(rejection_status(&Method::GET, "/", host, None), Some(421), "{host}");
        }
    }

    #[test]
    fn a_cross_origin_page_cannot_post() {
        let post =
            |path, origin| rejection_status(&Method::POST, path, "localhost:3000", Some(origin));
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://"] {
            assert_eq!(post("/orders", origin), Some(403), "{origin}");
            assert_eq!(post("/_page/mappings/A/pause", origin), Some(403), "{origin}");
        }
        assert_eq!(post("/_page/mappings/A/pause", "http://localhost:3000"), None);
        assert_eq!(rejection_status(&Method::POST, "/orders", "localhost:3000", None), None);
    }

    #[test]
    fn another_local_page_can_post_orders_only() {
        let post = |path| {
            rejection_status(&Method::POST, path, "localhost:3000", Some("http://localhost:5173"))
        };
        assert_eq!(post("/orders"), None);
        assert_eq!(post("/_page/mappings/A/pause"), Some(403));
    }
}
