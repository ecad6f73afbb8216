//! Metric filters, alarms and the dashboard against the resources and the log lines.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{Envelope, EventType, OrderId, StageName, StoredEvent};
use engine::{Digest, Engine, Row, RowBody, RowKey, Stage};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use workflow_tests::captured::Captured;

use crate::{harness::Harness, template, template_yaml::TemplateYaml};

#[test]
fn every_stage_that_consumes_is_watched_for_the_age_of_its_records() {
    let consuming = StageName::ALL.iter().filter(|it| it.spec().consumed_events().next().is_some());
    let consuming: BTreeSet<_> = consuming.map(|stage| stage.name().to_owned()).collect();
    assert_eq!(TemplateYaml::read().watched("RecordAge", "stage"), consuming);
}

#[test]
fn every_table_and_function_is_watched() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let tables: BTreeSet<_> = template.tables.into_iter().map(|it| it.logical_id).collect();
    for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
        assert_eq!(yaml.watched(metric, "TableName"), tables, "{metric}");
    }
    let functions = template.functions.into_iter();
    let functions: BTreeSet<_> = functions.map(|it| it.name.logical_id).collect();
    for metric in ["Errors", "Throttles"] {
        assert_eq!(yaml.watched(metric, "FunctionName"), functions, "{metric}");
    }
}

#[test]
fn every_function_is_measured_by_stage_and_outcome() {
    let yaml = TemplateYaml::read();
    for metric in ["Records", "RecordAge"] {
        assert_eq!(yaml.measured_groups(metric), [yaml.log_group()].into(), "{metric}");
    }
}

#[test]
fn the_dashboard_shows_every_mapping_function_and_table() {
    let (template, yaml) = (template(), TemplateYaml::read());
    let rows = |id: &str| yaml.dashboard().matches(&format!("\"${{{id}}}\"")).count();
    for mapping in &template.mappings {
        // Offset lag, and records given up.
        assert_eq!(rows(&mapping.logical_id), 2, "{}", mapping.logical_id);
    }
    for function in &template.functions {
        // Errors, duration, concurrency, and throttles.
        assert_eq!(rows(&function.name.logical_id), 4, "{}", function.name.logical_id);
    }
    for table in &template.tables {
        // Write units, and throttled writes.
        assert_eq!(rows(&table.logical_id), 2, "{}", table.logical_id);
    }
}

#[tokio::test]
async fn every_field_that_is_measured_is_logged() {
    let lines = log_lines().await;
    let logged: BTreeSet<_> = lines
        .iter()
        .flat_map(|line| line.as_object().expect("an object").keys().cloned())
        .collect();
    let measured = TemplateYaml::read().measured_fields();
    let missing: Vec<_> = measured.difference(&logged).collect();
    assert!(missing.is_empty(), "no line has the fields {missing:?}: {lines:?}");
}

#[tokio::test]
async fn the_dashboard_shows_malformed_records_under_the_outcome_that_is_logged() {
    let lines = log_lines().await;
    let with_code = lines.iter().find(|line| line["code"] == "MALFORMED_EVENT");
    let outcome = with_code.expect("the malformed record is logged")["outcome"].as_str().unwrap();
    let shown = format!(r#"outcome=\"{outcome}\""#);
    assert!(TemplateYaml::read().dashboard().contains(&shown), "{shown}");
}

/// The log lines of a completed order, a failed order, an ignored event, a malformed record, and
/// the recovery.
async fn log_lines() -> Vec<Value> {
    let (log, logging) = Captured::start("info");
    closed(
        EventType::OrderCompleted,
        r#"{"totalAmount":12.5}"#,
        r#"{"status":"COMPLETED","tookMs":1}"#,
    );
    let failure = r#"{"failureReason":"OUT_OF_STOCK: A"}"#;
    closed(
        EventType::OrderInventoryFailed,
        failure,
        r#"{"status":"FAILED","failureReason":"OUT_OF_STOCK: A"}"#,
    );
    let harness = Harness::start().await;
    let engine = Engine::new(harness.context.clone()).with(order_api::Close);
    let ignored = event(EventType::OrderInventoryFailed, r#"{"malformed":true}"#).body;
    let records: Vec<_> = [ignored.as_str(), "not JSON"]
        .iter()
        .zip(0..)
        .map(|(value, offset)| {
            json!({
                "topic": "order.failed", "partition": 0, "offset": offset, "timestamp": 0,
                "value": BASE64_STANDARD.encode(value), "headers": [],
            })
        })
        .collect();
    let batch = json!({ "records": { "order.failed-0": records } }).to_string();
    let batch = serde_json::from_str(&batch).expect("a batch");
    let response = engine.handle(&batch, Instant::now() + Duration::from_secs(60)).await;
    assert!(response.expect("a response").is_success());
    let deadline = Instant::now() + Duration::from_secs(60);
    let scheduled = order_api::Scheduled { at: Timestamp::UNIX_EPOCH, accepted_since: None };
    harness.api.recover(scheduled, deadline).await.expect("nothing is open");
    drop(logging);
    log.lines()
}

fn event(event_type: EventType, payload: &str) -> StoredEvent {
    let order_id = OrderId::parse("ord-1").expect("an id");
    StoredEvent::new(event_type, &order_id, "corr-1", Timestamp::UNIX_EPOCH, payload)
}

/// Closes an order with this event and row.
fn closed(event_type: EventType, payload: &str, row: &str) {
    let event = event(event_type, payload);
    let row = Row {
        key: RowKey { id: "ord-1".to_owned(), stage: StageName::Close },
        body: RowBody::Data(row.to_owned()),
        digest: Digest::of(b""),
        expires_at: 0,
        customer_index: None,
    };
    order_api::Close.on_inserted(&Envelope::decode(event.body.as_bytes()).expect("an event"), &row);
}
