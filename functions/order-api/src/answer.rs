//! An answer, and its form for API Gateway (payload format 2.0).

use std::collections::BTreeMap;

use aws_lambda_events::{
    apigw::ApiGatewayV2httpResponse,
    encodings::Body,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

/// An answer before it is put into API Gateway's form.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
}

impl Answer {
    /// An answer without a body.
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, headers: BTreeMap::new(), body: String::new() }
    }

    /// An answer with a body of this type, such as `application/json`.
    pub(crate) fn new(status: u16, content_type: &str, body: &Value) -> Self {
        let body = body.to_string();
        Self { body, ..Self::empty(status) }.with("content-type", content_type)
    }

    /// The answer with one more header; values of one name are a list with commas.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        let values = self.headers.entry(name).or_default();
        if !values.is_empty() {
            values.push_str(", ");
        }
        values.push_str(value);
        self
    }

    /// The answer with one more header, where there is a value for it.
    pub(crate) fn with_some(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// The answer in API Gateway's form.
    pub(crate) fn into_response(self) -> ApiGatewayV2httpResponse {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            // What comes in from outside and goes out again was found to be printable.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(self.status);
        response.headers = headers;
        response.body = Some(Body::Text(self.body));
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_the_form_that_api_gateway_reads() {
        let answer = Answer::new(202, "application/json", &json!({ "a": 1 }))
            .with("vary", "origin")
            .with("vary", "prefer")
            .with_some("etag", None);
        assert_eq!(
            serde_json::to_value(answer.into_response()).unwrap(),
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
