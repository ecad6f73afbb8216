//! A proxy in front of a provider that loses responses to executed requests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;

pub struct LossyProxy {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    responses: BTreeMap<u16, usize>,
    lost: usize,
    key: Option<HeaderValue>,
}

#[derive(Clone)]
struct Upstream {
    url: String,
    one_in: usize,
    client: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
}

impl LossyProxy {
    /// Starts a proxy that loses one of `one_in` responses of this server; 0 loses none.
    pub async fn start(server: &str, one_in: usize) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let upstream = Upstream {
            url: server.to_owned(),
            one_in,
            client: reqwest::Client::new(),
            seen: Arc::clone(&seen),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(pass_on).with_state(upstream);
        tokio::spawn(async move { axum::serve(listener, app).await.expect("the proxy serves") });
        Self { url, seen }
    }

    /// The number of lost responses.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.seen.lock().unwrap().lost
    }

    /// The number of responses with this status, lost ones included.
    #[must_use]
    pub fn responses(&self, status: u16) -> usize {
        self.seen.lock().unwrap().responses.get(&status).copied().unwrap_or_default()
    }

    /// Replaces the function's API key in all further requests.
    pub fn show_key(&self, key: &str) {
        let value = HeaderValue::from_str(&format!("Bearer {key}")).expect("a key");
        self.seen.lock().unwrap().key = Some(value);
    }
}

async fn pass_on(State(upstream): State<Upstream>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    if let Some(key) = upstream.seen.lock().unwrap().key.clone() {
        headers.insert(header::AUTHORIZATION, key);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let request = upstream.client.request(parts.method, format!("{}{path}", upstream.url));
    let Ok((status, headers, body)) = send(request.headers(headers).body(body)).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut seen = upstream.seen.lock().unwrap();
    *seen.responses.entry(status.as_u16()).or_default() += 1;
    let responses: usize = seen.responses.values().sum();
    if upstream.one_in > 0 && responses.is_multiple_of(upstream.one_in) {
        seen.lost += 1;
        return (status, cut_off()).into_response();
    }
    (status, headers, body).into_response()
}

async fn send(
    request: reqwest::RequestBuilder,
) -> Result<(StatusCode, HeaderMap, Bytes), reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok((status, headers, response.bytes().await?))
}

/// A body that cuts the connection before its first byte.
pub(crate) fn cut_off() -> Body {
    Body::from_stream(stream::once(async { Err::<Bytes, _>("the connection is cut") }))
}
