//! What of an HTTP request matters here, as API Gateway's payload format 2.0 tells it.
//!
//! Read leniently: one odd header must not cost the whole request, as it would with types that
//! take a header's value for ASCII.

use std::collections::HashMap;

use contracts::JsonObject;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{answer::Answer, problem::problem};

/// An HTTP request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub(crate) raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    /// By lower-case name.
    #[serde(default)]
    headers: HashMap<String, String>,
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Debug, Deserialize)]
struct RequestContext {
    http: Http,
    authorizer: Option<Authorizer>,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

#[derive(Debug, Deserialize)]
struct Authorizer {
    jwt: Option<Jwt>,
}

#[derive(Debug, Deserialize)]
struct Jwt {
    claims: Option<JsonObject>,
}

impl Request {
    /// The request, where the function was called by API Gateway; `None` for a batch of records.
    pub fn read(event: &RawValue) -> Option<serde_json::Result<Self>> {
        #[derive(Deserialize)]
        struct Probe {
            #[serde(rename = "requestContext")]
            _request_context: IgnoredAny,
        }
        serde_json::from_str::<Probe>(event.get()).ok()?;
        Some(serde_json::from_str(event.get()))
    }

    /// The method.
    pub(crate) fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// The parts of the path between slashes.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.raw_path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// A header; where it was sent several times, its values with commas between.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A header that names something: 1 to `max_length` printable ASCII characters.
    pub(crate) fn name_in_header(
        &self,
        name: &str,
        max_length: usize,
    ) -> Result<Option<&str>, Answer> {
        let Some(value) = self.header(name) else { return Ok(None) };
        let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let is_blank = value.trim().is_empty();
        if is_printable && !is_blank && (1..=max_length).contains(&value.len()) {
            return Ok(Some(value));
        }
        let detail = format!("{name} must have 1 to {max_length} printable ASCII characters");
        Err(problem(400, &detail))
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Result<Option<String>, Answer> {
        let pairs = form_urlencoded::parse(self.raw_query_string.as_bytes());
        let mut values = pairs.filter(|(other, _)| other == name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return Err(problem(400, &format!("{name} must be given once")));
        }
        Ok(value.map(std::borrow::Cow::into_owned))
    }

    /// A claim of the token that API Gateway has checked.
    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        let jwt = self.request_context.authorizer.as_ref()?.jwt.as_ref()?;
        jwt.claims.as_ref()?.get(name)?.as_str()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn request(event: &Value) -> Request {
        serde_json::from_value(event.clone()).unwrap()
    }

    fn with_headers(headers: &Value) -> Request {
        let context = json!({ "http": { "method": "GET" } });
        request(&json!({ "rawPath": "/orders", "headers": headers, "requestContext": context }))
    }

    #[test]
    fn a_batch_of_records_is_no_http_request() {
        let batch = r#"{"eventSource":"aws:kafka","records":{}}"#;
        assert!(Request::read(&RawValue::from_string(batch.to_owned()).unwrap()).is_none());
    }

    #[test]
    fn a_header_that_is_no_ascii_spoils_no_other() {
        let request = with_headers(&json!({ "user-agent": "Müller", "prefer": "wait=1" }));
        assert_eq!(request.header("prefer"), Some("wait=1"));
    }

    #[test]
    fn a_name_in_a_header_is_printable_and_bounded() {
        for bad in ["", "tab\there", "ü", "four"] {
            let request = with_headers(&json!({ "x-name": bad }));
            assert!(request.name_in_header("x-name", 3).is_err(), "{bad}");
        }
        let request = with_headers(&json!({ "x-name": "a b" }));
        assert_eq!(request.name_in_header("x-name", 3).unwrap(), Some("a b"));
        assert_eq!(request.name_in_header("x-other", 3).unwrap(), None);
    }

    #[test]
    fn a_parameter_is_decoded_and_given_once() {
        let mut request = with_headers(&json!({}));
        request.raw_query_string = "a=x%20%26+y&b=1&b=2".to_owned();
        assert_eq!(request.parameter("a").unwrap().as_deref(), Some("x & y"));
        assert!(request.parameter("b").is_err());
        assert_eq!(request.parameter("c").unwrap(), None);
    }
}
