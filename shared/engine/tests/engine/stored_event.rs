//! Stages that act on stored events: a record alone has no effect.

use std::sync::{Arc, Mutex};

use contracts::{
    Envelope, FailureCode, FailureReason, Fields, StageName, Topic, failure::failure_reason,
};
use engine::{Decision, Needed, Row, Stage, error::Error, row::MAX_EVENT_BYTES};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::harness::{Harness, record};

/// Stores the reason of a failure.
struct Keep;

impl Stage for Keep {
    const NAME: StageName = StageName::Close;
    const ACTS_ON_STORED_EVENT: bool = true;

    async fn decide(&self, event: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        let reason = failure_reason(&event.payload).unwrap_or_default();
        let fields = Fields::default().with_string("reason", &reason);
        Ok(Decision::Accept { fields, effects: Vec::new() })
    }
}

fn failure(event_type: &str, reason: &str) -> Value {
    json!({
        "eventType": event_type, "orderId": "ord-1", "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z", "payload": { "failureReason": reason },
    })
}

async fn deliver(harness: &Harness, events: &[Value]) {
    let records: Vec<_> = events.iter().zip(0..).map(|(it, offset)| record(offset, it)).collect();
    assert!(harness.deliver_from("order.failed-0", &records).await.unwrap().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_its_publisher_has_not_stored_changes_nothing() {
    let harness = Harness::start().await.with_stage(Keep);
    let forged = failure("OrderPaymentFailed", "PAYMENT_DECLINED: forged");
    deliver(&harness, std::slice::from_ref(&forged)).await;
    assert_eq!(harness.kept("ord-1").await, None);
    // A different event in the row of its publisher does not verify it either.
    let mut paid = failure("PaymentCompleted", "");
    paid["payload"] = json!({ "customerId": "cust-1" });
    harness.store(&paid).await;
    deliver(&harness, &[forged]).await;
    assert_eq!(harness.kept("ord-1").await, None);
    // Nor does the report of a malformed record.
    let mut report = failure("OrderInventoryFailed", "MALFORMED_EVENT: it says why");
    report["payload"]["malformed"] = true.into();
    harness.store(&report).await;
    deliver(&harness, &[failure("OrderInventoryFailed", "OUT_OF_STOCK: forged")]).await;
    assert_eq!(harness.kept("ord-1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_acts_on_the_stored_event_and_not_on_the_record() {
    let harness = Harness::start().await.with_stage(Keep);
    harness.store(&failure("OrderPaymentFailed", "PAYMENT_DECLINED: stored")).await;
    let mut forged = failure("OrderPaymentFailed", "PAYMENT_DECLINED: forged");
    forged["payload"]["padding"] = "x".repeat(MAX_EVENT_BYTES).into();
    deliver(&harness, &[forged]).await;
    let kept = Some(r#"{"reason":"PAYMENT_DECLINED: stored"}"#.to_owned());
    assert_eq!(harness.kept("ord-1").await, kept);
}

/// Acts outside DynamoDB; keeps the events of the orders that it undoes.
#[derive(Default)]
struct Undoing(Arc<Mutex<Vec<String>>>);

impl Stage for Undoing {
    const NAME: StageName = StageName::Payment;
    const ACTS_ON_STORED_EVENT: bool = true;

    fn acts_outside(&self) -> bool {
        true
    }

    async fn decide(&self, _: &Envelope<'_>, _: &Needed) -> Result<Decision, Error> {
        Ok(Decision::accept())
    }

    async fn undo(&self, event: &Envelope<'_>, _: &Row) -> Result<(), Error> {
        self.0.lock().unwrap().push(event.text().to_owned());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_cancelled_is_undone_by_its_stored_event_and_not_by_the_record() {
    let undone = Arc::default();
    let harness = Harness::start().await.with_stage(Undoing(Arc::clone(&undone)));
    let mut reserved = failure("InventoryReserved", "");
    reserved["payload"] = json!({ "customerId": "cust-1" });
    harness.store(&reserved).await;
    let reserved = reserved.to_string();
    let event = Envelope::decode(reserved.as_bytes()).unwrap();
    let reason = FailureReason::new(FailureCode::OrderCancelled, "in time");
    let until = Instant::now() + Duration::from_secs(60);
    harness.other().reject_early(StageName::Payment, &event, &reason, until).await.unwrap();
    let forged = reserved.replace("cust-1", "cust-2");
    let partition = format!("{}-0", Topic::InventoryReserved.name());
    let records = [record(0, &serde_json::from_str(&forged).unwrap())];
    assert!(harness.deliver_from(&partition, &records).await.unwrap().is_success());
    assert_eq!(*undone.lock().unwrap(), [reserved]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_event_beside_the_stored_one_does_not_keep_it_from_its_stage() {
    let harness = Harness::start().await.with_stage(Keep);
    let stored = failure("OrderPaymentFailed", "PAYMENT_DECLINED: stored");
    harness.store(&stored).await;
    let forged = failure("OrderValidationFailed", "VALIDATION_FAILED: forged");
    deliver(&harness, &[forged.clone(), forged, stored]).await;
    let kept = Some(r#"{"reason":"PAYMENT_DECLINED: stored"}"#.to_owned());
    assert_eq!(harness.kept("ord-1").await, kept);
}
