//! A proxy in front of a provider that loses responses to executed requests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    server::{Error, Server},
    upstream::{Upstream, cut_off},
};

pub struct LossyProxy {
    pub url: String,
    seen: Seen,
    _server: Server,
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    responses: BTreeMap<u16, usize>,
    lost: usize,
    key: Option<HeaderValue>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Lossy {
    upstream: Upstream,
    one_in: usize,
    seen: Seen,
}

impl LossyProxy {
    /// Starts a proxy that loses one of `one_in` responses of this server; 0 loses none.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start(server: &str, one_in: usize) -> Result<Self, Error> {
        let seen = Seen::default();
        let lossy = Lossy { upstream: Upstream::new(server)?, one_in, seen: seen.clone() };
        let server = Server::start(Router::new().fallback(pass_on).with_state(lossy)).await?;
        Ok(Self { url: server.url.clone(), seen, _server: server })
    }

    /// The number of lost responses.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.seen.lock().lost
    }

    /// The number of responses with this status, lost ones included.
    #[must_use]
    pub fn responses(&self, status: u16) -> usize {
        self.seen.lock().responses.get(&status).copied().unwrap_or_default()
    }

    /// Replaces the function's API key in all further requests.
    ///
    /// # Errors
    /// The key is not a valid header value.
    pub fn show_key(&self, key: &str) -> Result<(), Error> {
        let value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| Error::Key)?;
        self.seen.lock().key = Some(value);
        Ok(())
    }
}

async fn pass_on(State(lossy): State<Lossy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut headers = parts.headers;
    if let Some(key) = lossy.seen.lock().key.clone() {
        headers.insert(header::AUTHORIZATION, key);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Some(reply) = lossy.upstream.send(parts.method, path, headers, body).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut seen = lossy.seen.lock();
    *seen.responses.entry(reply.status.as_u16()).or_default() += 1;
    let responses: usize = seen.responses.values().sum();
    if lossy.one_in > 0 && responses.is_multiple_of(lossy.one_in) {
        seen.lost += 1;
        return (reply.status, cut_off()).into_response();
    }
    reply.into_response()
}
