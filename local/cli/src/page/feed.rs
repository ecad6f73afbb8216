//! Server-sent events for a browser: the full state, then changes.
//!
//! A message is made from the current state when the browser reads it. A slow browser gets fewer
//! messages; nothing is queued for it, and nothing waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::Stream;
use serde::Serialize;

use super::Page;
use super::orders::{Changes, MAX_ORDERS};
use super::pipeline::PipelineView;
use super::samples::Samples;

/// Time between two messages to a browser.
const MESSAGE_INTERVAL: Duration = Duration::from_millis(250);

/// The state that one browser has received.
struct Feed {
    page: Arc<Page>,
    pipeline: Option<PipelineView>,
    version: u64,
}

/// The changes since the previous message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    /// In the first message only, which has the full state.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Start<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<&'a PipelineView>,
    #[serde(flatten)]
    changes: Option<Changes>,
}

/// Data that is constant while the stack runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    samples: &'a Samples,
    kept_orders: usize,
}

/// The full state, then changes, until the page is closed.
pub(super) fn feed(page: Arc<Page>) -> impl Stream<Item = Result<Event, Infallible>> {
    let feed = Feed { page, pipeline: None, version: 0 };
    futures::stream::unfold(feed, |mut feed| async move {
        let mut closed = feed.page.closed.subscribe();
        if feed.pipeline.is_some() && is_closed_after(MESSAGE_INTERVAL, &mut closed).await {
            return None;
        }
        loop {
            if let Some(message) = feed.message() {
                return Some((Ok(message), feed));
            }
            if is_closed_after(MESSAGE_INTERVAL, &mut closed).await {
                return None;
            }
        }
    })
}

async fn is_closed_after(pause: Duration, closed: &mut tokio::sync::watch::Receiver<bool>) -> bool {
    tokio::time::timeout(pause, closed.wait_for(|closed| *closed)).await.is_ok()
}

impl Feed {
    /// The next message; `None` without a change.
    fn message(&mut self) -> Option<Event> {
        let now = self.page.pipeline()?.view();
        let is_first = self.pipeline.is_none();
        let changes = self.page.orders().since(self.version);
        let has_moved = self.pipeline.as_ref() != Some(&now);
        if changes.is_none() && !has_moved {
            return None;
        }
        self.version = changes.as_ref().map_or(self.version, |changes| changes.version);
        let pipeline = self.pipeline.insert(now);
        let start = Start { samples: &self.page.samples, kept_orders: MAX_ORDERS };
        let message = Message {
            start: is_first.then_some(start),
            pipeline: has_moved.then_some(pipeline),
            changes,
        };
        Event::default()
            .json_data(message)
            .inspect_err(|error| tracing::error!(%error, "cannot serialize the page's changes"))
            .ok()
    }
}
