//! Early rejections: an order is cancelled before, while and after its stage acts.

use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use contracts::{Envelope, FailureCode, FailureReason, StageName, Topic};
use engine::{Decision, Engine, Needed, Row, Stage, TransientError, error::Error};
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::harness::{Harness, event, record};

/// Acts outside DynamoDB; with an engine, cancels the order while deciding.
struct Outside {
    calls: Arc<Mutex<Vec<&'static str>>>,
    failures: AtomicUsize,
    overtaken_by: Option<Engine>,
}

impl Outside {
    fn called(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Stage for Outside {
    const NAME: StageName = StageName::Inventory;

    fn acts_outside(&self) -> bool {
        true
    }

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        self.called("decide");
        if let Some(engine) = &self.overtaken_by {
            cancel(engine, event).await;
        }
        Ok(Decision::accept())
    }

    fn undo(&self, _: &Envelope<'_>, row: &Row) -> impl Future<Output = Result<(), Error>> + Send {
        assert!(row.is_early());
        self.called("undo");
        let has_failed = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        ready(match has_failed {
            Ok(_) => Err(TransientError::new("undo", "away").into()),
            Err(_) => Ok(()),
        })
    }
}

async fn cancel(engine: &Engine, event: &Envelope<'_>) -> Row {
    let reason = FailureReason::new(FailureCode::OrderCancelled, "in time");
    let until = Instant::now() + Duration::from_secs(60);
    engine.reject_early(StageName::Inventory, event, &reason, until).await.unwrap()
}

/// Delivers an order to the stage; returns the stage's calls.
async fn deliver(
    harness: &mut Harness,
    order: &Value,
    failures: usize,
    overtaken_by: Option<Engine>,
) -> Vec<&'static str> {
    let calls = Arc::default();
    let stage = Outside { calls: Arc::clone(&calls), failures: failures.into(), overtaken_by };
    harness.run(stage);
    let response = harness.deliver(&[record(1, order)]).await.unwrap();
    assert!(response.is_success());
    let calls = calls.lock().unwrap();
    calls.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_cancelled_is_undone_and_then_published_and_never_decided() {
    let mut harness = Harness::start().await;
    let order = event("ord-1", &[]);
    let text = order.to_string();
    let cancelled = cancel(&harness.other(), &Envelope::decode(text.as_bytes()).unwrap()).await;
    assert_eq!(deliver(&mut harness, &order, 1, None).await, ["undo", "undo"]);
    let published = harness.published(Topic::OrderFailed, 1);
    assert_eq!(published[0].body, cancelled.event().unwrap().body);
    assert!(published[0].body.contains("ORDER_CANCELLED: in time"), "{published:?}");
    assert!(!published[0].body.contains("\"source\""), "{published:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_while_its_stage_acts_is_undone() {
    let mut harness = Harness::start().await;
    let other = harness.other();
    let calls = deliver(&mut harness, &event("ord-1", &[]), 0, Some(other)).await;
    assert_eq!(calls, ["decide", "undo"]);
    let published = harness.published(Topic::OrderFailed, 1);
    assert_eq!(published[0].body, harness.stored_event("ord-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_stage_has_decided_is_not_decided_early() {
    let mut harness = Harness::start().await;
    let order = event("ord-1", &[]);
    assert_eq!(deliver(&mut harness, &order, 0, None).await, ["decide"]);
    let text = order.to_string();
    let found = cancel(&harness.other(), &Envelope::decode(text.as_bytes()).unwrap()).await;
    assert!(!found.is_early());
    assert_eq!(found.event().unwrap().body, harness.stored_event("ord-1").await);
}
