//! The HTTP response from a function's response: API Gateway's payload format 2.0.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Returns `None` if the function's response is not valid.
///
/// JSON without a `statusCode` is the body of a 200, as API Gateway infers it.
pub(super) fn response(payload: &[u8]) -> Option<Response> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    if value.get("statusCode").is_none() {
        let json = HeaderValue::from_static("application/json");
        return Response::builder()
            .header(CONTENT_TYPE, json)
            .body(Body::from(payload.to_vec()))
            .ok();
    }
    let parts: FunctionResponse = serde_json::from_value(value).ok()?;
    let status = StatusCode::from_u16(parts.status_code).ok()?;
    let body = parts.body.unwrap_or_default();
    let body = if parts.is_base64_encoded {
        BASE64_STANDARD.decode(body).ok()?
    } else {
        body.into_bytes()
    };
    let mut response = Response::builder().status(status).body(Body::from(body)).ok()?;
    let headers = response.headers_mut();
    for (name, value) in parts.headers.unwrap_or_default() {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for (name, values) in parts.multi_value_headers.unwrap_or_default() {
        let name = HeaderName::try_from(name).ok()?;
        for value in values {
            let value = HeaderValue::try_from(value).ok()?;
            if headers.get(&name) != Some(&value) {
                headers.append(name.clone(), value);
            }
        }
    }
    for cookie in parts.cookies.unwrap_or_default() {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    // API Gateway's default.
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain;charset=utf-8"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn status_headers_cookies_and_body_are_passed_on() {
        let payload = br#"{"statusCode":202,"headers":{"Location":"/greetings/1","Retry-After":1},
            "multiValueHeaders":{"location":["/greetings/1"]},"cookies":["a=1"],"body":"hello"}"#;
        let response = response(payload).unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers().get_all("location").iter().count(), 1);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["set-cookie"], "a=1");
        assert_eq!(text(response).await, "hello");
    }

    #[tokio::test]
    async fn a_body_in_base64_is_decoded() {
        let payload = br#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#;
        assert_eq!(text(response(payload).unwrap()).await, "hi");
    }

    #[tokio::test]
    async fn json_without_a_status_is_the_body() {
        let response = response(br#"{"a":1}"#).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, r#"{"a":1}"#);
    }

    #[test]
    fn an_invalid_response_is_none() {
        for payload in ["", "not json", r#"{"statusCode":"x"}"#, r#"{"statusCode":20}"#] {
            assert!(response(payload.as_bytes()).is_none(), "{payload}");
        }
    }
}
