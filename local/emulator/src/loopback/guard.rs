//! Refuses pages of other hosts: cross-origin requests, and names that point at 127.0.0.1.
//!
//! The browser sends the name in `Host` and the page's origin in `Origin`; programs send no origin.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;

const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The pages that may send requests to a server.
#[derive(Debug, Clone)]
pub enum Origins {
    None,
    /// Those of this machine, and of these origins.
    Loopback {
        others: Vec<String>,
    },
}

impl Origins {
    fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Loopback { others } => {
                origin.strip_prefix(b"http://").is_some_and(is_loopback)
                    || others.iter().any(|other| other.as_bytes() == origin)
            }
        }
    }
}

pub(super) fn guarded(routes: Router, origins: Origins) -> Router {
    routes.layer(from_fn_with_state(Arc::new(origins), guard))
}

async fn guard(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    match refusal(&request, &origins) {
        None => next.run(request).await,
        Some((status, why)) => problem(status, why),
    }
}

fn refusal<B>(
    request: &axum::http::Request<B>,
    origins: &Origins,
) -> Option<(StatusCode, &'static str)> {
    let mut hosts = request.headers().get_all(HOST).into_iter().map(HeaderValue::as_bytes);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Some((StatusCode::BAD_REQUEST, "a request must have one Host header"));
    }
    let names_us = host.is_some_and(is_loopback)
        && request.uri().host().is_none_or(|host| LOOPBACK.contains(&host));
    if !names_us {
        let why = "this server accepts the host names 127.0.0.1 and localhost only";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let may = origins.allow(request.headers().get(ORIGIN)?.as_bytes());
    let why = "this server accepts no requests of pages of other origins";
    (!may).then_some((StatusCode::FORBIDDEN, why))
}

/// True for an authority, with or without a port, that names this machine.
fn is_loopback(authority: &[u8]) -> bool {
    Authority::try_from(authority).is_ok_and(|authority| LOOPBACK.contains(&authority.host()))
}

/// A problem document (RFC 9457).
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Response {
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

    fn pages() -> Origins {
        Origins::Loopback { others: vec!["https://shop.example".to_owned()] }
    }

    fn status(uri: &str, host: Option<&str>, origin: Option<&str>, origins: &Origins) -> u16 {
        let mut request = axum::http::Request::builder().uri(uri);
        let headers = [(HOST, host), (ORIGIN, origin)];
        for (name, value) in headers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request = request.header(name, value);
        }
        refusal(&request.body(()).unwrap(), origins).map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn a_foreign_or_missing_host_name_is_refused() {
        let with = |host| status("/", Some(host), None, &pages());
        for host in ["127.0.0.1:3000", "localhost", "[::1]:3000"] {
            assert_eq!(with(host), 200, "{host}");
        }
        for host in ["evil.example:3000", "127.0.0.1.evil.example", "localhost@evil.example", ""] {
            assert_eq!(with(host), 421, "{host}");
        }
        assert_eq!(status("/", None, None, &pages()), 421);
        assert_eq!(status("http://evil.example/", Some("localhost"), None, &pages()), 421);
    }

    #[test]
    fn a_request_with_two_hosts_is_refused() {
        let request = axum::http::Request::builder().header(HOST, "localhost");
        let request = request.header(HOST, "localhost").body(()).unwrap();
        assert_eq!(refusal(&request, &pages()).unwrap().0, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_page_of_another_origin_is_refused_unless_it_is_named() {
        let from = |origin, origins| status("/", Some("localhost:3000"), Some(origin), origins);
        let pages = pages();
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://"] {
            assert_eq!(from(origin, &pages), 403, "{origin}");
        }
        for origin in ["http://localhost:5173", "https://shop.example"] {
            assert_eq!(from(origin, &pages), 200, "{origin}");
            assert_eq!(from(origin, &Origins::None), 403, "{origin}");
        }
    }
}
