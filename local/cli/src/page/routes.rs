//! Routes of the page: `/` and `/_page/…`. All others belong to the HTTP API.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, map_response};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};

use emulator::event_source_mapping::MappingHandle;
use emulator::loopback::problem;

use super::Page;
use super::feed::feed;
use super::guard::same_origin;
use super::log::tail;

/// A closed connection is detected within this time.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The page loads nothing from other hosts, and cannot be framed.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The routes of the page and of the API.
pub(super) fn in_front_of(page: Arc<Page>, api: Router) -> Router {
    let own = Router::new()
        .route("/", file("text/html", include_str!("../../page/index.html")))
        .route("/_page/page.css", file("text/css", include_str!("../../page/page.css")))
        .merge(scripts())
        .route("/_page/icon.svg", file("image/svg+xml", include_str!("../../page/icon.svg")))
        .route("/_page/feed", get(events))
        .route("/_page/mappings/{id}/pause", post(pause))
        .route("/_page/mappings/{id}/resume", post(resume))
        .route("/_page/mappings/{id}/log", get(log))
        .route("/_page/orders/{id}/deliver-again", post(deliver_again))
        .with_state(page)
        .layer(map_response(with_headers))
        .layer(from_fn(same_origin));
    own.merge(api)
}

fn scripts() -> Router<Arc<Page>> {
    let scripts = [
        ("/_page/page.js", include_str!("../../page/page.js")),
        ("/_page/pipeline.js", include_str!("../../page/pipeline.js")),
        ("/_page/orders.js", include_str!("../../page/orders.js")),
        ("/_page/failures.js", include_str!("../../page/failures.js")),
        ("/_page/log.js", include_str!("../../page/log.js")),
        ("/_page/post.js", include_str!("../../page/post.js")),
        ("/_page/format.js", include_str!("../../page/format.js")),
    ];
    let router =
        |router: Router<_>, (path, text)| router.route(path, file("text/javascript", text));
    scripts.into_iter().fold(Router::new(), router)
}

fn file(kind: &'static str, text: &'static str) -> MethodRouter<Arc<Page>> {
    let content_type = HeaderValue::from_str(&format!("{kind}; charset=utf-8"));
    let content_type = content_type.unwrap_or(HeaderValue::from_static("text/plain"));
    get(move || async move { ([(CONTENT_TYPE, content_type)], text) })
}

async fn with_headers(mut response: Response) -> Response {
    response.headers_mut().extend(HEADERS);
    response
}

async fn events(State(page): State<Arc<Page>>) -> Response {
    Sse::new(feed(page)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

async fn pause(State(page): State<Arc<Page>>, Path(id): Path<String>) -> Response {
    steer(&page, &id, MappingHandle::pause)
}

async fn resume(State(page): State<Arc<Page>>, Path(id): Path<String>) -> Response {
    steer(&page, &id, MappingHandle::resume)
}

fn steer(page: &Page, id: &str, how: fn(&MappingHandle)) -> Response {
    let Some(pipeline) = page.pipeline() else { return starting() };
    match pipeline.mapping(id) {
        Some(mapping) => {
            how(mapping);
            StatusCode::NO_CONTENT.into_response()
        }
        None => no_mapping(),
    }
}

/// The last lines of the log of the mapping's function.
async fn log(State(page): State<Arc<Page>>, Path(id): Path<String>) -> Response {
    let Some(stack) = page.stack.get() else { return starting() };
    let function = page.pipeline().and_then(|pipeline| {
        pipeline.mapping(&id).map(|mapping| mapping.declaration().function.binary.clone())
    });
    let Some(function) = function else { return no_mapping() };
    let Some(folder) = &stack.logs else {
        return problem(
            StatusCode::NOT_FOUND,
            "the functions are hosted elsewhere (read their logs there)",
        );
    };
    let path = folder.join(format!("{function}.log"));
    match tokio::task::spawn_blocking(move || tail(&path)).await.map_err(io::Error::other).flatten()
    {
        Ok(tail) => Json(tail).into_response(),
        Err(error) => {
            tracing::warn!(function, %error, "cannot read the log");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "cannot read the log (the terminal has the error)",
            )
        }
    }
}

/// Publishes the order's `OrderCreated` record again, as a retrying producer does.
async fn deliver_again(State(page): State<Arc<Page>>, Path(id): Path<String>) -> Response {
    let Some(stack) = page.stack.get() else { return starting() };
    let created = page.orders().created(&id);
    let Some(created) = created else {
        return problem(
            StatusCode::NOT_FOUND,
            "the OrderCreated record of this order is no longer kept",
        );
    };
    match stack.producer.publish(&created).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::warn!(%error, "cannot publish the OrderCreated record again");
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "cannot publish the record (check that the broker is up)",
            )
        }
    }
}

fn no_mapping() -> Response {
    problem(StatusCode::NOT_FOUND, "the template has no mapping with this name")
}

fn starting() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the stack is starting (try again in a moment)")
}
