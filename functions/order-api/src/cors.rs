//! Cross-origin requests (CORS).
//!
//! Handled here and not by API Gateway, so that the local run behaves like AWS.

use crate::{request::Request, response::Response};

/// The methods that a page may use, and the headers that it may send.
const METHODS: &str = "GET, HEAD, POST";
const HEADERS: &str = "authorization, content-type, idempotency-key, if-none-match, prefer, \
     traceparent, tracestate, x-amz-content-sha256, x-amz-date, x-amz-security-token, x-correlation-id";
/// The response headers that a page may read.
const EXPOSED: &str = "allow, etag, location, preference-applied, retry-after, x-correlation-id";
/// The seconds for which a browser may cache the response to a preflight.
const MAX_AGE: &str = "600";

/// The allowed origins.
#[derive(Debug, Default)]
pub struct Cors {
    /// Origins such as `https://shop.example`, or `*` for all; without one there is no CORS.
    pub origins: Vec<String>,
}

/// An origin, as a browser spells it, or `*`.
pub(crate) fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |host: &str| {
        !host.is_empty()
            && host.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
            })
    };
    text == "*" || host.is_some_and(is_host)
}

impl Cors {
    /// The response to a preflight request; `None` for any other request.
    pub(crate) fn preflight(&self, request: &Request) -> Result<Option<Response>, Response> {
        if self.origins.is_empty() {
            return Ok(None);
        }
        let origin = request.headers.single("origin")?;
        let asked_method = request.headers.single("access-control-request-method")?;
        if request.method() != "OPTIONS" || origin.is_none() || asked_method.is_none() {
            return Ok(None);
        }
        let response = Response::empty(204);
        Ok(Some(match self.allowed(request) {
            Some(_) => response
                .with("access-control-allow-methods", METHODS)
                .with("access-control-allow-headers", HEADERS)
                .with("access-control-max-age", MAX_AGE),
            None => response,
        }))
    }

    /// The response with the CORS headers, if the origin is allowed.
    pub(crate) fn allow(&self, request: &Request, response: Response) -> Response {
        if self.origins.is_empty() {
            return response;
        }
        // Also without an origin: a cache must not use the response for another origin.
        let response = response.with("vary", "origin");
        match self.allowed(request) {
            Some(origin) => response
                .with("access-control-allow-origin", origin)
                .with("access-control-expose-headers", EXPOSED),
            None => response,
        }
    }

    /// The origin of the request, if it is allowed.
    fn allowed<'a>(&'a self, request: &'a Request) -> Option<&'a str> {
        let origin = request.headers.single("origin").ok()??;
        let is_allowed = |allowed: &&String| *allowed == "*" || *allowed == origin;
        self.origins.iter().find(is_allowed).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::tests::request;

    fn answered(origins: &[&str], origin: &str) -> (Option<Value>, Value) {
        let cors = Cors { origins: origins.iter().map(|origin| (*origin).to_owned()).collect() };
        let request = request(&json!({
            "rawPath": "/orders",
            "headers": { "origin": origin, "access-control-request-method": "POST" },
            "requestContext": { "http": { "method": "OPTIONS" } },
        }));
        let written =
            |response: Response| serde_json::to_value(response.into_api_gateway()).unwrap();
        let response = cors.allow(&request, Response::empty(200));
        (cors.preflight(&request).unwrap().map(written), written(response))
    }

    #[test]
    fn a_page_of_an_allowed_origin_may_send_and_read() {
        let (preflight, response) =
            answered(&["https://a.example", "https://b.example"], "https://b.example");
        let preflight = preflight.unwrap();
        assert_eq!(preflight["statusCode"], 204);
        assert_eq!(preflight["headers"]["access-control-allow-methods"], "GET, HEAD, POST");
        assert_eq!(response["headers"]["access-control-allow-origin"], "https://b.example");
        assert_eq!(response["headers"]["vary"], "origin");
        let (_, response) = answered(&["*"], "https://c.example");
        assert_eq!(response["headers"]["access-control-allow-origin"], "*");
    }

    #[test]
    fn a_page_of_another_origin_may_not() {
        let (preflight, response) = answered(&["https://a.example"], "https://a.example.evil");
        assert_eq!(preflight.unwrap()["headers"].get("access-control-allow-methods"), None);
        assert_eq!(response["headers"].get("access-control-allow-origin"), None);
        let (preflight, response) = answered(&[], "https://a.example");
        assert_eq!(preflight, None);
        assert_eq!(response["headers"], json!({}));
    }

    #[test]
    fn a_request_of_two_origins_is_refused() {
        let cors = Cors { origins: vec!["*".to_owned()] };
        for name in ["origin", "access-control-request-method"] {
            let request = request(&json!({
                "rawPath": "/orders",
                "headers": { name: "https://a.example,https://b.example" },
                "requestContext": { "http": { "method": "GET" } },
            }));
            let refused = cors.preflight(&request).unwrap_err();
            assert_eq!(refused.status, 400, "{name}");
            assert!(refused.body().contains(name));
        }
    }

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        for origin in ["*", "https://shop.example", "http://localhost:5173", "http://[::1]:80"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in
            ["", "shop.example", "https://", "https://shop.example/", "https://*.a", "null"]
        {
            assert!(!is_origin(other), "{other}");
        }
    }
}
