//! Which pages of other origins may call this API from a browser?
//!
//! Answered here and not by API Gateway, so that the local run answers as AWS does.

use crate::{answer::Answer, request::Request};

/// What a page may send.
const METHODS: &str = "GET, HEAD, POST";
const HEADERS: &str = "authorization, content-type, idempotency-key, if-none-match, prefer, \
     traceparent, tracestate, x-amz-content-sha256, x-amz-date, x-amz-security-token, x-correlation-id";
/// What a page may read of an answer, beside its body.
const EXPOSED: &str = "allow, etag, location, preference-applied, retry-after, x-correlation-id";
/// For how many seconds a browser may keep the answer to a preflight.
const MAX_AGE: &str = "600";

/// The origins whose pages may call.
#[derive(Debug, Default)]
pub struct Cors {
    /// Origins such as `https://shop.example`, or `*` for all; without one there is no CORS.
    pub origins: Vec<String>,
}

/// Whether the text is an origin, as a browser spells it, or `*`.
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
    /// The answer to the question that a browser asks ahead of a request; `None` for all else.
    pub(crate) fn preflight(&self, request: &Request) -> Result<Option<Answer>, Answer> {
        if self.origins.is_empty() {
            return Ok(None);
        }
        let origin = request.headers.single("origin")?;
        let asked_method = request.headers.single("access-control-request-method")?;
        if request.method() != "OPTIONS" || origin.is_none() || asked_method.is_none() {
            return Ok(None);
        }
        let answer = Answer::empty(204);
        Ok(Some(match self.allowed(request) {
            Some(_) => answer
                .with("access-control-allow-methods", METHODS)
                .with("access-control-allow-headers", HEADERS)
                .with("access-control-max-age", MAX_AGE),
            None => answer,
        }))
    }

    /// The answer with what lets the page read it, where its origin may.
    pub(crate) fn allow(&self, request: &Request, answer: Answer) -> Answer {
        if self.origins.is_empty() {
            return answer;
        }
        // Told without an origin, too: a cache must not give one page's answer to another.
        let answer = answer.with("vary", "origin");
        match self.allowed(request) {
            Some(origin) => answer
                .with("access-control-allow-origin", origin)
                .with("access-control-expose-headers", EXPOSED),
            None => answer,
        }
    }

    /// The origin to name in the answer.
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
        let written = |answer: Answer| serde_json::to_value(answer.into_response()).unwrap();
        let answer = cors.allow(&request, Answer::empty(200));
        (cors.preflight(&request).unwrap().map(written), written(answer))
    }

    #[test]
    fn a_page_of_an_allowed_origin_may_send_and_read() {
        let (preflight, answer) =
            answered(&["https://a.example", "https://b.example"], "https://b.example");
        let preflight = preflight.unwrap();
        assert_eq!(preflight["statusCode"], 204);
        assert_eq!(preflight["headers"]["access-control-allow-methods"], "GET, HEAD, POST");
        assert_eq!(answer["headers"]["access-control-allow-origin"], "https://b.example");
        assert_eq!(answer["headers"]["vary"], "origin");
        let (_, answer) = answered(&["*"], "https://c.example");
        assert_eq!(answer["headers"]["access-control-allow-origin"], "*");
    }

    #[test]
    fn a_page_of_another_origin_may_not() {
        let (preflight, answer) = answered(&["https://a.example"], "https://a.example.evil");
        assert_eq!(preflight.unwrap()["headers"].get("access-control-allow-methods"), None);
        assert_eq!(answer["headers"].get("access-control-allow-origin"), None);
        let (preflight, answer) = answered(&[], "https://a.example");
        assert_eq!(preflight, None);
        assert_eq!(answer["headers"], json!({}));
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
