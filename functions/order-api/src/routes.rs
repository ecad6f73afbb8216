//! Which request gets which answer; what goes wrong is told as a problem document (RFC 9457).

use aws_lambda_events::{
    apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    encodings::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};
use stage::Clients;
use uuid::Uuid;

/// The HTTP side of the function.
#[derive(Debug)]
pub(crate) struct OrderApi {
    pub(crate) clients: Clients,
    /// Makes the ids of new orders and correlations.
    pub(crate) new_id: fn() -> Uuid,
}

/// An answer before it is put into API Gateway's form.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Value,
}

/// The request, where the function was called by API Gateway; `None` for a batch of records.
pub(crate) fn http_request(event: &RawValue) -> Option<ApiGatewayV2httpRequest> {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "requestContext")]
        _request_context: IgnoredAny,
    }
    serde_json::from_str::<Probe>(event.get()).ok()?;
    serde_json::from_str(event.get()).ok()
}

impl OrderApi {
    /// Answers a request.
    pub(crate) async fn answer(
        &self,
        request: &ApiGatewayV2httpRequest,
    ) -> ApiGatewayV2httpResponse {
        let path = request.raw_path.as_deref().unwrap_or("/");
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let method = &request.request_context.http.method;
        let answer = match (method, segments.as_slice()) {
            (&Method::POST, ["orders"]) => self.accept(request).await,
            (&Method::GET, ["orders", order_id]) => self.status(order_id).await,
            (_, ["orders"]) => method_not_allowed("POST"),
            (_, ["orders", _]) => method_not_allowed("GET"),
            _ => problem(404, "there is nothing here: POST /orders and GET /orders/{orderId} are"),
        };
        answer.into_response()
    }
}

/// A problem document that says what to do.
pub(crate) fn problem(status: u16, detail: &str) -> Answer {
    let title = match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    Answer {
        status,
        headers: Vec::new(),
        body: json!({ "type": "about:blank", "title": title, "status": status, "detail": detail }),
    }
}

fn method_not_allowed(allowed: &str) -> Answer {
    let detail = format!("this path takes {allowed} only");
    problem(405, &detail).with(HeaderName::from_static("allow"), allowed)
}

impl Answer {
    /// The answer with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn into_response(self) -> ApiGatewayV2httpResponse {
        let content_type =
            if self.status < 400 { "application/json" } else { "application/problem+json" };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(self.status);
        response.headers = headers;
        response.body = Some(Body::Text(self.body.to_string()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_records_is_no_http_request() {
        let batch = r#"{"eventSource":"aws:kafka","records":{}}"#;
        assert!(http_request(&RawValue::from_string(batch.to_owned()).unwrap()).is_none());
    }

    #[test]
    fn a_problem_says_what_to_do_and_how_it_is_written() {
        let response = method_not_allowed("POST").into_response();
        assert_eq!(response.status_code, 405);
        assert_eq!(response.headers["allow"], "POST");
        assert_eq!(response.headers["content-type"], "application/problem+json");
        let Some(Body::Text(body)) = response.body else { panic!("a problem has a body") };
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["title"], "Method Not Allowed");
        assert_eq!(body["detail"], "this path takes POST only");
    }
}
