//! The event from an HTTP request: API Gateway's payload format 2.0.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Bytes;
use axum::extract::Query;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    version: &'static str,
    route_key: &'static str,
    raw_path: String,
    raw_query_string: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: String,
    domain_prefix: &'static str,
    http: Http,
    request_id: String,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    path: String,
    protocol: String,
    source_ip: String,
    user_agent: String,
}

pub(super) fn of(parts: &Parts, body: &[u8], caller: SocketAddr, now: jiff::Timestamp) -> Event {
    let (headers, cookies) = headers(parts);
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let path = decoded(parts.uri.path());
    let (body, is_base64_encoded) = match str::from_utf8(body) {
        Ok("") => (None, false),
        Ok(text) if is_text(&header("content-type")) => (Some(text.to_owned()), false),
        _ => (Some(BASE64_STANDARD.encode(body)), true),
    };
    Event {
        version: "2.0",
        route_key: "$default",
        raw_path: path.clone(),
        raw_query_string: parts.uri.query().unwrap_or_default().to_owned(),
        request_context: RequestContext {
            account_id: "000000000000",
            api_id: "local",
            domain_name: header("host"),
            domain_prefix: "local",
            http: Http {
                method: parts.method.to_string(),
                path,
                protocol: format!("{:?}", parts.version),
                source_ip: caller.ip().to_string(),
                user_agent: header("user-agent"),
            },
            request_id: uuid::Uuid::new_v4().to_string(),
            route_key: "$default",
            stage: "$default",
            time: now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            time_epoch: now.as_millisecond(),
        },
        query_string_parameters: query(parts),
        cookies,
        headers,
        body,
        is_base64_encoded,
    }
}

impl Event {
    pub(super) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The same request with `Prefer: wait=0`.
    pub(super) fn without_wait(mut self) -> Self {
        self.headers.insert("prefer".to_owned(), "wait=0".to_owned());
        self
    }
}

/// Bytes of the request line and of the values of the headers.
pub(super) fn head_bytes(parts: &Parts) -> usize {
    let line = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
    parts.headers.values().fold(line.len(), |sum, value| sum.saturating_add(value.len()))
}

/// An HTTP API passes these types as text, and any other in base64, also that of a form or none.
fn is_text(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let text = ["application/javascript", "application/json", "application/xml"];
    media_type.starts_with("text/") || text.contains(&media_type.as_str())
}

/// Decodes a path once and cuts it at a decoded question mark, as an HTTP API does.
fn decoded(path: &str) -> String {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('?').next().unwrap_or_default().to_owned()
}

/// Headers by lower-case name, repeated values joined by commas; and the cookies.
fn headers(parts: &Parts) -> (BTreeMap<String, String>, Vec<String>) {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == "cookie" {
            cookies.extend(value.split("; ").map(ToOwned::to_owned));
            continue;
        }
        join(&mut headers, name.as_str(), &value);
    }
    (headers, cookies)
}

/// Decoded parameters by name, repeated values joined by commas.
fn query(parts: &Parts) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    if let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
        for (name, value) in pairs {
            join(&mut parameters, &name, &value);
        }
    }
    parameters
}

fn join(values: &mut BTreeMap<String, String>, name: &str, value: &str) {
    values
        .entry(name.to_owned())
        .and_modify(|joined| {
            joined.push(',');
            joined.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::{Value, json};

    use super::*;

    fn event(request: Request<&[u8]>) -> Value {
        let (parts, body) = request.into_parts();
        let caller = SocketAddr::from(([127, 0, 0, 1], 5_000));
        let now = jiff::Timestamp::from_millisecond(1_583_348_638_390).unwrap();
        serde_json::to_value(of(&parts, body, caller, now)).unwrap()
    }

    #[test]
    fn a_request_becomes_an_event_of_format_two() {
        let request = Request::post("/greetings?tag=a&tag=b%20c")
            .header("Host", "127.0.0.1:3000")
            .header("User-Agent", "curl/8")
            .header("Accept", "text/html")
            .header("Accept", "text/plain")
            .header("Cookie", "a=1; b=2")
            .header("Content-Type", "application/json; charset=utf-8")
            .body(&b"{}"[..])
            .unwrap();
        let event = event(request);
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["routeKey"], "$default");
        assert_eq!(event["rawPath"], "/greetings");
        assert_eq!(event["rawQueryString"], "tag=a&tag=b%20c");
        assert_eq!(event["queryStringParameters"], json!({ "tag": "a,b c" }));
        assert_eq!(event["headers"]["accept"], "text/html,text/plain");
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["body"], "{}");
        assert_eq!(event["isBase64Encoded"], false);
        let context = &event["requestContext"];
        assert_eq!(context["time"], "04/Mar/2020:19:03:58 +0000");
        assert_eq!(context["timeEpoch"], 1_583_348_638_390_i64);
        assert_eq!(
            context["http"],
            json!({
                "method": "POST",
                "path": "/greetings",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8"
            })
        );
    }

    #[test]
    fn a_path_is_decoded_once() {
        for (sent, decoded) in [
            ("/greetings/1", "/greetings/1"),
            ("/greetings/a%2Fb%20c+d", "/greetings/a/b c+d"),
            ("/greetings/%C3%BC%E6%BC%A2", "/greetings/ü漢"),
            ("/greetings/100%25", "/greetings/100%"),
            ("/greetings/a%252Fb", "/greetings/a%2Fb"),
            ("/greetings/a%3Fb", "/greetings/a"),
            ("/greetings/a%3fb?c=d", "/greetings/a"),
            ("/greetings/%zz%", "/greetings/%zz%"),
        ] {
            let event = event(Request::get(sent).body(&b""[..]).unwrap());
            assert_eq!(event["rawPath"], decoded, "{sent}");
            assert_eq!(event["requestContext"]["http"]["path"], decoded, "{sent}");
        }
    }

    #[test]
    fn a_header_that_is_sent_twice_is_joined_as_api_gateway_joins_it() {
        let request = Request::post("/greetings").header("Idempotency-Key", "k-1");
        let event = event(request.header("idempotency-key", "k-1").body(&b""[..]).unwrap());
        assert_eq!(event["headers"]["idempotency-key"], "k-1,k-1");
    }

    #[test]
    fn a_body_is_text_or_base64_by_its_content_type() {
        for (content_type, body, expected, is_base64) in [
            ("text/plain", &b"a"[..], "a", false),
            ("Application/JSON;charset=utf-8", b"a", "a", false),
            ("application/xml", b"a", "a", false),
            ("application/javascript", b"a", "a", false),
            ("application/x-www-form-urlencoded", b"a", "YQ==", true),
            ("application/octet-stream", b"a", "YQ==", true),
            ("", b"a", "YQ==", true),
            ("text/plain", &[0xff, 0x00], "/wA=", true),
        ] {
            let mut request = Request::post("/");
            if !content_type.is_empty() {
                request = request.header("Content-Type", content_type);
            }
            let event = event(request.body(body).unwrap());
            assert_eq!(event["body"], expected, "{content_type}");
            assert_eq!(event["isBase64Encoded"], is_base64, "{content_type}");
        }
    }

    #[test]
    fn a_query_is_passed_undecoded_beside_its_decoded_parameters() {
        let event = event(Request::get("/?a=%C3%BC&a=b+c&d").body(&b""[..]).unwrap());
        assert_eq!(event["rawQueryString"], "a=%C3%BC&a=b+c&d");
        assert_eq!(event["queryStringParameters"], json!({ "a": "ü,b c", "d": "" }));
    }

    #[test]
    fn several_cookie_headers_are_one_array() {
        let request = Request::get("/").header("Cookie", "a=1; b=2").header("Cookie", "c=3");
        let event = event(request.body(&b""[..]).unwrap());
        assert_eq!(event["cookies"], json!(["a=1", "b=2", "c=3"]));
    }

    #[test]
    fn a_request_without_body_and_query_has_neither() {
        let event = event(Request::get("/greetings/1").body(&b""[..]).unwrap());
        assert_eq!(event.get("body"), None);
        assert_eq!(event.get("queryStringParameters"), None);
        assert_eq!(event["rawQueryString"], "");
    }
}
