//! The server behind a proxy.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;

use crate::server::Error;

/// A response: of the server, or in place of it.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

/// A burst of requests leaves its connections for this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Upstream {
    url: String,
    client: reqwest::Client,
}

impl Upstream {
    /// A server at this URL, reached through no proxy of the environment.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let client = reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE_TIMEOUT).build();
        let client = client.map_err(Error::Client)?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// Sends a request; `None` if the server does not respond.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Option<Reply> {
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::HOST);
        let request = self.client.request(method, format!("{}{path}", self.url));
        let response = request.headers(headers).body(body).send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        Some(Reply { status, headers, body: response.bytes().await.ok()? })
    }
}

/// A body that cuts the connection before its first byte.
pub(crate) fn cut_off() -> Body {
    Body::from_stream(stream::once(async { Err::<Bytes, _>("the connection is cut") }))
}
