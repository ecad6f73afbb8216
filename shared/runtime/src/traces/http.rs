//! The exporter's HTTP client: the connector of the AWS SDK, which the function contains anyway.

use async_trait::async_trait;
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// The most bytes of a response that are read: it holds counts and an error text.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// A client without time limits: the caller drops what takes too long.
#[derive(Debug)]
pub(crate) struct Client(Connector);

impl Client {
    pub(crate) fn new() -> Self {
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        Self(Connector::builder().tls_provider(provider).build())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.0.call(request.map(Into::into).try_into()?).await?;
        let (head, body) = response.try_into_http1x()?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
