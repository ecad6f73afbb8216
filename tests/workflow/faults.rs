//! Malformed records, a database that throttles and loses responses, an unavailable broker.

use std::process::Command;

use contracts::{EventType, StageName, Topic, happy_path};
use emulator::broker::Outage;
use emulator::tap::TapRecord;
use serde_json::{Value, json};
use workflow_tests::world::World;

use crate::{
    distinct,
    ends::{RECOVERY_ENV, often_recovered},
    happy_events, journey, order, world, world_as,
};

/// Neither UTF-8 nor JSON.
const MALFORMED: &[u8] = b"not JSON \xff";

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_record_between_two_orders_stops_neither() {
    let mut world = world().await;
    let created = |order_id: &str| {
        json!({
            "eventType": "OrderCreated", "orderId": order_id, "correlationId": "corr-1",
            "timestamp": "2026-02-06T12:00:00Z", "payload": order(),
        })
        .to_string()
    };
    let (before, after) = (run_id("before"), run_id("after"));
    world.write(Topic::OrderCreated, Some(0), &before, created(&before).as_bytes()).await;
    world.write(Topic::OrderCreated, Some(0), "malformed", MALFORMED).await;
    world.write(Topic::OrderCreated, Some(0), &after, created(&after).as_bytes()).await;
    assert_eq!(world.ended(&before).await["status"], "COMPLETED");
    assert_eq!(world.ended(&after).await["status"], "COMPLETED");

    let is_malformed = |record: &TapRecord| record.payload.as_deref() == Some(MALFORMED);
    let seen = world.until("the malformed record", |seen| seen.iter().any(is_malformed)).await;
    let offset = seen.iter().find(|it| is_malformed(it)).unwrap().offset;
    let position = format!("order.created-0-{offset}");
    let reports = world.until_event(&position, EventType::OrderValidationFailed, 1).await;
    let report: Value = serde_json::from_str(&reports[0].1).unwrap();
    let reason = report["payload"]["failureReason"].as_str().unwrap();
    assert!(reason.starts_with("MALFORMED_EVENT: "), "{reason}");
    let source = json!({ "topic": "order.created", "partition": 0, "offset": offset });
    assert_eq!(report["payload"]["source"], source);
    assert_eq!(report["payload"]["malformed"], true);

    // The id contains the record's position and digest, because positions repeat after a topic was
    // recreated.
    let records = world.records(&position, EventType::OrderValidationFailed);
    let id = records[0].headers.iter().find(|(name, _)| name == "ce_id").unwrap();
    let id = String::from_utf8(id.1.clone().unwrap()).unwrap();
    let digest = id.strip_prefix(&format!("{position}#")).unwrap();
    let digest = digest.strip_suffix("/OrderValidationFailed").unwrap();
    assert_eq!(digest.len(), 32, "{id}");
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_producer_dates_it_1970_is_not_given_up_for_its_age() {
    let mut world = world().await;
    let order_id = run_id("dated");
    let created = json!({
        "eventType": "OrderCreated", "orderId": order_id, "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z", "payload": order(),
    });
    world.write_at(1, Topic::OrderCreated, &order_id, created.to_string().as_bytes()).await;
    assert_eq!(distinct(&journey(&mut world, &order_id, 1).await), happy_events());
    // The embedded broker keeps the producer's timestamp.
    if std::env::var("KAFKA_BOOTSTRAP_SERVERS").is_ok() {
        let created = world.records(&order_id, EventType::OrderCreated);
        assert!(created[0].timestamp_ms > 1, "the topic uses the broker's time");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_and_lost_answers_of_the_database_lose_and_double_nothing() {
    let mut world = world().await;
    for stage in happy_path().map(|spec| spec.name).chain([StageName::Close]) {
        let stage = format!("\"S\":\"{stage}\"");
        world.database.throttle(&[&stage]);
        world.database.lose_response(&[&stage]);
    }
    let (status, accepted) = world.post(&order(), None).await;
    assert_eq!(status, 202, "at the first request: {accepted}");
    let order_id = accepted["orderId"].as_str().unwrap().to_owned();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    let events = journey(&mut world, &order_id, 1).await;
    assert_eq!(distinct(&events), happy_events());
    assert_eq!(world.database.faults_left(), 0);
    assert_eq!(world.available_and_reserved("SKU-1").await, ("98".to_owned(), "2".to_owned()));
    assert_eq!(world.balance("cust-1").await, "987.5");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_intake_says_so_and_the_same_request_succeeds_later() {
    let mut world = world().await;
    let key = run_id("key");
    // Complete one order first, so that everything is connected.
    let known = world.accepted(&order()).await;
    world.ended(&known).await;

    let outage = BrokerOutage::of(&world);
    let headers = [("idempotency-key", key.as_str())];
    let response = world.request("POST", "/orders", &headers, order().to_string()).await;
    let (status, retry_after) = (response.status(), response.headers().get("retry-after").cloned());
    drop(outage);
    assert_eq!(status.as_u16(), 503);
    assert!(retry_after.is_some());

    let (status, body) = world.post(&order(), Some(&key)).await;
    assert_eq!(status, 202, "{body}");
    let order_id = body["orderId"].as_str().unwrap();
    assert_eq!(world.ended(order_id).await["status"], "COMPLETED");
    let events = journey(&mut world, order_id, 1).await;
    let mut types: Vec<EventType> = events.into_iter().map(|(event_type, _)| event_type).collect();
    types.dedup();
    assert_eq!(types, happy_events());
    assert_eq!(world.balance("cust-1").await, "975");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_published_is_kept_named_and_ends_by_itself() {
    let mut world = world_as(&often_recovered(&RECOVERY_ENV)).await;
    let known = world.accepted(&order()).await;
    world.ended(&known).await;
    let outage = BrokerOutage::of(&world);
    let (status, problem) = world.post(&order(), None).await;
    assert_eq!(status, 503, "{problem}");
    let order_id = problem["orderId"].as_str().expect("the problem names the order").to_owned();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the same Idempotency-Key, which is safe"), "{detail}");
    assert_eq!(world.status(&order_id).await.expect("the order is stored")["status"], "PENDING");
    drop(outage);

    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    let events = journey(&mut world, &order_id, 1).await;
    let mut types: Vec<EventType> = events.into_iter().map(|(event_type, _)| event_type).collect();
    types.dedup();
    assert_eq!(types, happy_events());
    assert_eq!(world.balance("cust-1").await, "975");
    world.stop().await;
}

/// The broker is away until this is dropped: the embedded one by its API, another one by SIGSTOP to
/// the process `KAFKA_PID`.
struct BrokerOutage<'a>(Option<Outage<'a>>);

impl<'a> BrokerOutage<'a> {
    fn of(world: &'a World) -> Self {
        let embedded = world.stack.broker.outage();
        if embedded.is_none() {
            signal_broker("-STOP");
        }
        Self(embedded)
    }
}

impl Drop for BrokerOutage<'_> {
    fn drop(&mut self) {
        if self.0.is_none() {
            signal_broker("-CONT");
        }
    }
}

fn signal_broker(signal: &str) {
    let pid = std::env::var("KAFKA_PID").expect("KAFKA_PID is the broker's process id");
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// A name that no other run uses, because external servers keep their data.
fn run_id(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4())
}
