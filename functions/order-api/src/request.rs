//! The used fields of an HTTP request, in API Gateway's payload format 2.0.
//!
//! Read leniently: a malformed header must not fail the request, as it would with types that
//! require ASCII.

use contracts::JsonObject;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{headers::Headers, problem::problem, response::Response};

/// The path of the orders; an order's own begins with it.
const ORDERS_PATH: &str = "/orders";

/// An HTTP request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Decoded by API Gateway.
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    pub(crate) headers: Headers,
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    http: Http,
    authorizer: Option<Authorizer>,
    time_epoch: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

#[derive(Debug, Deserialize)]
struct Authorizer {
    jwt: Option<Jwt>,
    iam: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Jwt {
    claims: Option<JsonObject>,
}

impl Request {
    /// `None` unless the event is an HTTP request of API Gateway.
    pub fn read(event: &RawValue) -> Option<serde_json::Result<Self>> {
        #[derive(Deserialize)]
        struct Probe {
            #[serde(rename = "requestContext")]
            _request_context: IgnoredAny,
        }
        serde_json::from_str::<Probe>(event.get()).ok()?;
        Some(serde_json::from_str(event.get()))
    }

    /// `GET` for a `HEAD`: the HTTP server in front omits the body of the response, and knows the
    /// length for `Content-Length`.
    pub(crate) fn method(&self) -> &str {
        match self.request_context.http.method.as_str() {
            "HEAD" => "GET",
            method => method,
        }
    }

    /// The parts of the path: `orders`, the order id, which may contain slashes, and the action.
    pub(crate) fn path(&self) -> Vec<&str> {
        let order = match self.raw_path.strip_prefix(ORDERS_PATH) {
            Some("") => return vec!["orders"],
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        match order.map(|order| (order, order.strip_suffix("/cancel"))) {
            Some((_, Some(id))) if !id.is_empty() => vec!["orders", id, "cancel"],
            Some((id, _)) => vec!["orders", id],
            None => Vec::new(),
        }
    }

    /// A decoded parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Result<Option<String>, Response> {
        let pairs = form_urlencoded::parse(self.raw_query_string.as_bytes());
        let mut values = pairs.filter(|(other, _)| other == name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return Err(problem(400, &format!("{name} must be given once")));
        }
        Ok(value.map(std::borrow::Cow::into_owned))
    }

    /// A claim of the token that API Gateway has verified.
    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        let jwt = self.request_context.authorizer.as_ref()?.jwt.as_ref()?;
        jwt.claims.as_ref()?.get(name)?.as_str()
    }

    /// The caller is authorized by anything but an IAM signature.
    pub(crate) fn has_token(&self) -> bool {
        self.request_context.authorizer.as_ref().is_some_and(|it| it.iam.is_none())
    }

    /// The time at which API Gateway received the request.
    pub(crate) fn received_at(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.request_context.time_epoch?).ok()
    }

    /// Rejects a body in a content coding.
    pub(crate) fn check_content_encoding(&self) -> Result<(), Response> {
        let codings = self.headers.list("content-encoding").unwrap_or_default().split(',');
        let mut codings = codings.map(str::trim).filter(|coding| !coding.is_empty());
        if codings.all(|coding| coding.eq_ignore_ascii_case("identity")) {
            return Ok(());
        }
        let detail = "the body must be sent as it is: leave out Content-Encoding";
        Err(problem(415, detail).with("accept-encoding", "identity"))
    }
}

/// The path of an order, percent-encoded down to the unreserved characters of RFC 3986.
pub(crate) fn order_path(order_id: &str) -> String {
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    format!("{ORDERS_PATH}/{}", utf8_percent_encode(order_id, RESERVED))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn request(event: &Value) -> Request {
        serde_json::from_value(event.clone()).unwrap()
    }

    fn with(path: &str, headers: &Value) -> Request {
        let context = json!({ "http": { "method": "POST" } });
        request(&json!({ "rawPath": path, "headers": headers, "requestContext": context }))
    }

    #[test]
    fn a_batch_of_records_is_not_an_http_request() {
        let batch = r#"{"eventSource":"aws:kafka","records":{}}"#;
        assert!(Request::read(&RawValue::from_string(batch.to_owned()).unwrap()).is_none());
    }

    #[test]
    fn whatever_follows_the_orders_path_is_one_order_id() {
        for (path, parts) in [
            ("/orders", &["orders"][..]),
            ("/orders/", &["orders", ""]),
            ("/orders/ord-1", &["orders", "ord-1"]),
            ("/orders/a/b c/ü+%", &["orders", "a/b c/ü+%"]),
            ("/orders//", &["orders", "/"]),
            ("/orders/ord-1/cancel", &["orders", "ord-1", "cancel"]),
            ("/orders/a/b/cancel", &["orders", "a/b", "cancel"]),
            ("/orders//cancel", &["orders", "/cancel"]),
            ("/orders/cancel", &["orders", "cancel"]),
            ("/ordersord-1", &[]),
            ("/", &[]),
            ("", &[]),
        ] {
            assert_eq!(with(path, &json!({})).path(), parts, "{path}");
        }
    }

    #[test]
    fn a_path_is_encoded_down_to_the_characters_that_no_gateway_changes() {
        assert_eq!(order_path("ord-0192f0c1-8e50"), "/orders/ord-0192f0c1-8e50");
        assert_eq!(order_path("a/b c+%?#ü~"), "/orders/a%2Fb%20c%2B%25%3F%23%C3%BC~");
    }

    #[test]
    fn a_body_in_a_content_coding_is_refused() {
        for coding in ["gzip", "GZIP", "br", "identity, gzip", "gzip,gzip"] {
            let request = with("/orders", &json!({ "content-encoding": coding }));
            let refused = request.check_content_encoding().unwrap_err();
            let response = serde_json::to_value(refused.into_api_gateway()).unwrap();
            assert_eq!(response["statusCode"], 415, "{coding}");
            assert_eq!(response["headers"]["accept-encoding"], "identity");
        }
        for coding in [
            json!({}),
            json!({ "content-encoding": "" }),
            json!({ "Content-Encoding": "Identity" }),
        ] {
            assert!(with("/orders", &coding).check_content_encoding().is_ok(), "{coding}");
        }
    }

    #[test]
    fn a_parameter_is_decoded_and_given_once() {
        let mut request = with("/orders", &json!({}));
        request.raw_query_string = "a=x%20%26+y&b=1&b=2".to_owned();
        assert_eq!(request.parameter("a").unwrap().as_deref(), Some("x & y"));
        assert!(request.parameter("b").is_err());
        assert_eq!(request.parameter("c").unwrap(), None);
    }
}
