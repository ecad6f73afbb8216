//! A response, and its form for API Gateway (payload format 2.0).

use std::collections::BTreeMap;

use aws_lambda_events::{
    apigw::ApiGatewayV2httpResponse,
    encodings::Body,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

/// A response before its conversion.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
}

impl Response {
    /// A response without a body.
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, headers: BTreeMap::new(), body: String::new() }
    }

    /// A response with a body of this type, such as `application/json`.
    pub(crate) fn new(status: u16, content_type: &str, body: &Value) -> Self {
        let body = body.to_string();
        Self { body, ..Self::empty(status) }.with("content-type", content_type)
    }

    /// Adds a header; values of one name are a list with commas.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        let values = self.headers.entry(name).or_default();
        if !values.is_empty() {
            values.push_str(", ");
        }
        values.push_str(value);
        self
    }

    /// Adds a header, if there is a value for it.
    pub(crate) fn with_some(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    pub(crate) fn into_api_gateway(self) -> ApiGatewayV2httpResponse {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            // Values that come from a request were checked to be printable.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let mut converted = ApiGatewayV2httpResponse::default();
        converted.status_code = i64::from(self.status);
        converted.headers = headers;
        converted.body = Some(Body::Text(self.body));
        converted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_response_has_the_form_that_api_gateway_reads() {
        let response = Response::new(202, "application/json", &json!({ "a": 1 }))
            .with("vary", "origin")
            .with("vary", "prefer")
            .with_some("etag", None);
        assert_eq!(
            serde_json::to_value(response.into_api_gateway()).unwrap(),
            json!({
                "statusCode": 202,
                "headers": { "content-type": "application/json", "vary": "origin, prefer" },
                "multiValueHeaders": {},
                "cookies": [],
                "body": "{\"a\":1}",
                "isBase64Encoded": false,
            })
        );
    }
}
