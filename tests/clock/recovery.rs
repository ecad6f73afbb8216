//! The recovery's windows and the expiry, on clocks that differ from the schedule's.

use std::{collections::BTreeMap, time::Duration};

use contracts::StageName;
use engine::RowBody;
use jiff::{SignedDuration, Timestamp};
use order_api::{RecoverySettings, Scheduled};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
use serde_json::Value;
use tokio::time::Instant;
use workflow_tests::{
    api::Api,
    stages::{Record, Stages, set_clock_ahead},
};

use crate::{HOUR, OFFSETS, books, event, order, published::Published, stages};

const PERIOD: SignedDuration = SignedDuration::from_mins(5);
const TIMEOUT: Duration = Duration::from_secs(60);

/// As deployed, up to the age that finds an order of a clock that is an hour behind.
fn settings(expires_after: Option<SignedDuration>) -> RecoverySettings {
    let seconds = SignedDuration::from_secs;
    RecoverySettings {
        ages: vec![seconds(300), seconds(7200)],
        window: seconds(360),
        expires_after,
    }
}

/// The orders that one run of the schedule has published again, and those that have expired.
async fn run(api: &Api, at: Timestamp) -> [u64; 2] {
    let scheduled = Scheduled { at, accepted_since: None };
    let recovered = api.api.recover(scheduled, Instant::now() + TIMEOUT).await.unwrap();
    let recovered = serde_json::to_value(recovered).unwrap();
    let sum = |field: &str| -> u64 {
        let ages = recovered.as_array().unwrap().iter();
        ages.map(|age: &Value| age[field].as_u64().unwrap()).sum()
    };
    [sum("published"), sum("expired")]
}

/// Stores an order as an intake that was killed before it published, on a clock that is ahead by
/// this much of the schedule's.
async fn killed_intake(stages: &Stages, order_id: &str, now: Timestamp, ahead: SignedDuration) {
    let at = format!("{:.3}", now + ahead);
    assert!(stages.store(event("OrderCreated", order_id, &at, "rich").as_bytes()).await);
}

#[tokio::test]
async fn the_recovery_finds_every_order_though_intake_and_schedule_are_an_hour_apart() {
    let stages = stages().await;
    let api = Api::with_recovery(&stages, settings(None));
    let (now, mut tap) = (Timestamp::now(), stages.tap().await);
    for (number, ahead) in OFFSETS.into_iter().enumerate() {
        killed_intake(&stages, &format!("ord-{number}"), now, ahead).await;
    }
    let mut published = 0;
    for tick in 1..=14 {
        // The function's own clock decides nothing here, so it jumps in each run.
        set_clock_ahead(OFFSETS[tick % OFFSETS.len()]);
        let at = now + PERIOD * i32::try_from(tick).unwrap();
        published += run(&api, at).await[0];
    }
    let mut seen = Published::default();
    seen.until(&mut tap, OFFSETS.len()).await;
    for number in 0..OFFSETS.len() {
        assert!(seen.times(&format!("ord-{number}"), "OrderCreated") > 0, "ord-{number}");
    }
    assert!(published >= 3, "{published}");
    set_clock_ahead(SignedDuration::ZERO);
    for number in 0..OFFSETS.len() {
        stages.carry(&format!("ord-{number}")).await;
    }
    assert_eq!(books(&stages).await, [3; 3]);
}

#[tokio::test]
async fn a_schedule_that_skips_or_repeats_an_hour_loses_no_order_and_doubles_none() {
    let stages = stages().await;
    let api = Api::with_recovery(&stages, settings(None));
    let (now, mut tap) = (Timestamp::now(), stages.tap().await);
    killed_intake(&stages, "ord-1", now, SignedDuration::ZERO).await;
    // Forward over the first age, back over it, and on to the next one.
    let minutes = [70, 75, 5, 10, 5, 10, 120, 125];
    let mut published = BTreeMap::new();
    for minute in minutes {
        let at = now + SignedDuration::from_mins(minute);
        *published.entry(minute).or_default() += run(&api, at).await[0];
    }
    let found: u64 = published.values().sum();
    assert!(found >= 3, "{published:?}");
    assert_eq!([published[&70], published[&75]], [0, 0], "between the ages: {published:?}");
    Published::default().until(&mut tap, 1).await;
    for _ in 0..2 {
        stages.carry("ord-1").await;
    }
    assert_eq!(books(&stages).await, [1; 3]);
}

#[tokio::test]
async fn an_order_is_paid_or_expires_and_never_both_whatever_the_clocks_say() {
    let stages = stages().await;
    let api = Api::with_recovery(&stages, settings(Some(HOUR)));
    let now = Timestamp::now();
    let mut expected = 0;
    for (number, ahead) in OFFSETS.into_iter().enumerate() {
        for is_paid_first in [true, false] {
            let order_id = format!("ord-{number}-{is_paid_first}");
            killed_intake(&stages, &order_id, now, ahead).await;
            set_clock_ahead(ahead);
            for stage in [StageName::OrderApi, StageName::Validator] {
                deliver_event_of(&stages, &order_id, stage).await;
            }
            if is_paid_first {
                deliver_event_of(&stages, &order_id, StageName::Inventory).await;
                expected += 1;
            }
        }
    }
    let mut expired = 0;
    for tick in 0..=24 {
        set_clock_ahead(OFFSETS[tick % OFFSETS.len()]);
        expired += run(&api, now + PERIOD * i32::try_from(tick).unwrap()).await[1];
    }
    assert!(expired >= 3, "{expired} orders have expired");
    set_clock_ahead(SignedDuration::ZERO);
    for number in 0..OFFSETS.len() {
        for is_paid_first in [true, false] {
            let order_id = format!("ord-{number}-{is_paid_first}");
            // Delivered after it has expired, the reservation charges nothing.
            deliver_event_of(&stages, &order_id, StageName::Inventory).await;
            stages.carry(&order_id).await;
            let rows = stages.rows(&order_id).await;
            assert!(rows.contains_key(&StageName::Close), "{order_id} has not ended");
            let has_stock_back = rows.contains_key(&StageName::Release);
            assert_eq!(has_stock_back, !is_paid_first, "{order_id}: {:?}", rows.keys());
        }
    }
    assert_eq!(books(&stages).await, [expected; 3]);
}

#[tokio::test]
async fn a_missed_expiry_is_repeated_an_hour_later() {
    let stages = stages().await;
    let api = Api::with_recovery(&stages, settings(Some(HOUR * 3)));
    let now = Timestamp::now();
    killed_intake(&stages, "ord-1", now, SignedDuration::ZERO).await;
    assert_eq!(run(&api, now + HOUR * 4 + PERIOD).await, [1, 1]);
    assert!(stages.rows("ord-1").await[&StageName::Payment].is_early());
}

#[tokio::test]
async fn a_cancellation_publishes_an_expiry_that_was_stored_and_not_published() {
    let stages = stages().await;
    let api = Api::with_recovery(&stages, settings(Some(HOUR * 3)));
    let (now, mut tap) = (Timestamp::now(), stages.tap().await);
    let order_id = api.accepted("rich", &order("rich")).await;
    for stage in [StageName::OrderApi, StageName::Validator] {
        deliver_event_of(&stages, &order_id, stage).await;
    }
    let mut published = Published::default();
    published.until(&mut tap, 3).await;

    let mock = stages.broker.mock().expect("an embedded broker");
    mock.request_errors(RDKafkaApiKey::Produce, &[RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let scheduled = Scheduled { at: now + HOUR * 3 + PERIOD, accepted_since: None };
    let error = api.api.recover(scheduled, Instant::now() + TIMEOUT).await.unwrap_err();
    assert!(error.to_string().starts_with("recovery: publish"), "{error}");
    assert!(stages.rows(&order_id).await[&StageName::Payment].is_early());

    let path = format!("/orders/{order_id}/cancel");
    let response = api.send("rich", ("POST", &path), &[], "").await;
    assert_eq!(response.status, 409, "{response:?}");
    published.until(&mut tap, 4).await;
    assert_eq!(published.times(&order_id, "OrderPaymentFailed"), 1);
    stages.carry(&order_id).await;
    assert!(stages.rows(&order_id).await.contains_key(&StageName::Close));
    assert_eq!(books(&stages).await, [0; 3]);
}

async fn deliver_event_of(stages: &Stages, order_id: &str, stage: StageName) {
    let RowBody::Event(event) = &stages.rows(order_id).await[&stage].body else {
        panic!("an event");
    };
    let topic = event.event_type.topic();
    stages.deliver(topic, &[Record::of(event.body.clone())], 1).await;
}
