//! The database behind a proxy.
//!
//! Forwards headers unchanged, including the signature, which therefore must not be verified. The
//! embedded database and DynamoDB Local do not.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::error::{Context, Result};

#[derive(Clone)]
pub(crate) struct Upstream {
    url: String,
    client: reqwest::Client,
}

/// The response of the database.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Upstream {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build();
        Ok(Self { url: url.to_owned(), client: client.context("cannot start a proxy")? })
    }

    /// Sends a request; 502 if the database does not respond.
    pub(crate) async fn send(
        &self,
        headers: HeaderMap,
        body: Bytes,
    ) -> std::result::Result<Reply, Response> {
        let bad_gateway = |_| StatusCode::BAD_GATEWAY.into_response();
        let request = self.client.post(&self.url).headers(headers).body(body);
        let response = request.send().await.map_err(bad_gateway)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(bad_gateway)?;
        Ok(Reply { status, headers, body })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

/// The operation, from a header such as `DynamoDB_20120810.PutItem`.
pub(crate) fn operation(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned()
}
