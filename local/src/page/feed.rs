//! How does a browser learn what is new? From server-sent events, a few in a second at most.
//!
//! A message is made when the browser takes it, from what is true then. So a slow browser gets fewer
//! messages, nothing is queued for it, and nobody waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::Stream;
use serde::Serialize;

use super::Page;
use super::orders::{Changes, KEPT_ORDERS};
use super::pipeline::PipelineView;
use super::samples::Samples;

/// Between two messages to a browser; where no browser is, nothing is made.
const PAUSE: Duration = Duration::from_millis(250);

/// What one browser has been told.
struct Feed {
    page: Arc<Page>,
    pipeline: Option<PipelineView>,
    version: u64,
}

/// A message: what is new since the one before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct News<'a> {
    /// In the first message only, which says everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Start<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<&'a PipelineView>,
    #[serde(flatten)]
    changes: Option<Changes>,
}

/// What stays the same for as long as the stack runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    samples: &'a Samples,
    kept_orders: usize,
}

/// Everything, then what is new, until the page is closed.
pub(super) fn feed(page: Arc<Page>) -> impl Stream<Item = Result<Event, Infallible>> {
    let feed = Feed { page, pipeline: None, version: 0 };
    futures::stream::unfold(feed, |mut feed| async move {
        let mut closed = feed.page.closed.subscribe();
        if feed.pipeline.is_some() && is_closed_after(PAUSE, &mut closed).await {
            return None;
        }
        loop {
            if let Some(news) = feed.news() {
                return Some((Ok(news), feed));
            }
            if is_closed_after(PAUSE, &mut closed).await {
                return None;
            }
        }
    })
}

/// Whether the page is closed before this time is up.
async fn is_closed_after(pause: Duration, closed: &mut tokio::sync::watch::Receiver<bool>) -> bool {
    tokio::time::timeout(pause, closed.wait_for(|closed| *closed)).await.is_ok()
}

impl Feed {
    /// The next message, where something is new.
    fn news(&mut self) -> Option<Event> {
        let now = self.page.pipeline()?.view();
        let is_first = self.pipeline.is_none();
        let changes = self.page.orders().since(self.version);
        let has_moved = self.pipeline.as_ref() != Some(&now);
        if changes.is_none() && !has_moved {
            return None;
        }
        self.version = changes.as_ref().map_or(self.version, |changes| changes.version);
        let pipeline = self.pipeline.insert(now);
        let start = Start { samples: &self.page.samples, kept_orders: KEPT_ORDERS };
        let news = News {
            start: is_first.then_some(start),
            pipeline: has_moved.then_some(pipeline),
            changes,
        };
        Event::default()
            .json_data(news)
            .inspect_err(|error| tracing::error!(%error, "the page is not told what is new"))
            .ok()
    }
}
