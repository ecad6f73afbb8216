//! Forged dead letters and receipts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use serde_json::{Value, json};

use super::harness::{CREATED, DEAD_LETTERS, Harness, values};
use super::messages::{bytes, message, record};

#[tokio::test]
async fn a_forged_dead_letter_publishes_only_the_stored_record() {
    let mut harness = Harness::start().await;
    let headers = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some("true") });
    let stored = FutureRecord::to(CREATED).partition(2).headers(headers);
    harness.send(stored.key(&b"ord-1"[..]).payload(&b"true"[..])).await;
    let mut forged = record(CREATED, 2, 0, "ord-9", "forged");
    forged["headers"] = json!([{ "ce_id": [102, 111] }]);
    harness.give_up(0, &[forged]).await;
    let listed = harness.redrive(&["list"]).await;
    let warning = "warning: order.created/2/0 differs from its copy in the dead letter \
                   order.dead-letter/0/0";
    listed.line(warning);
    assert!(listed.line("order.created/2/0").contains("ord-1"), "the record's key: {listed:?}");
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.line(warning);
    let written = harness.written().await;
    let copies: Vec<_> = written.iter().filter(|record| record.topic == CREATED).collect();
    let [copy] = copies[..] else { panic!("{written:?}") };
    assert_eq!(copy.payload.as_deref(), Some(&b"true"[..]));
    assert_eq!(copy.key.as_deref(), Some(&b"ord-1"[..]));
    assert_eq!(copy.headers, [("ce_id".to_owned(), Some(b"true".to_vec()))]);
}

#[tokio::test]
async fn a_dead_letter_whose_record_is_gone_is_reported_and_skipped() {
    let mut harness = Harness::start().await;
    let there = harness.given_up(CREATED, 0, "ord-1", "there").await;
    // An offset that was never written, and a partition that the topic does not have.
    harness
        .give_up(0, &[record(CREATED, 0, 5, "o", "{}"), record(CREATED, 77, 0, "o", "{}"), there])
        .await;
    let listed = harness.redrive(&["list"]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    listed.line("order.created/0/5 is gone: ");
    listed.line("order.created/77/0 is gone: ");
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/5").contains("no record at this position"), "{ended:?}");
    assert!(ended.stdout.contains("1 record redriven, 2 records not redriven"), "{ended:?}");
    let alone = harness.redrive(&["run", "order.created/77/0"]).await;
    assert_eq!(alone.status, 1, "{alone:?}");
    assert_eq!(values(&harness.written().await, CREATED), ["there"]);
}

#[tokio::test]
async fn a_record_is_redriven_although_its_dead_letter_has_malformed_bytes() {
    let mut harness = Harness::start().await;
    let mut given_up = harness.given_up(CREATED, 0, "ord-1", "there").await;
    given_up["value"] = json!("not base64!");
    given_up["headers"] = json!("not a list");
    harness.give_up(0, &[given_up]).await;
    assert_eq!(harness.redrive(&["run", "--all"]).await.status, 0);
    assert_eq!(values(&harness.written().await, CREATED), ["there"]);
}

#[tokio::test]
async fn a_forged_receipt_neither_hides_a_dead_letter_nor_cancels_a_receipt() {
    let mut harness = Harness::start().await;
    let earlier = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    let given_up = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    let other = harness.given_up(CREATED, 0, "ord-1", "other").await;
    let elsewhere = harness.given_up("somebody.elses", 0, "ord-1", "{}").await;
    harness.give_up(0, std::slice::from_ref(&given_up)).await;
    let mut forged = Vec::new();
    for copy in [
        &earlier,
        &given_up,
        &other,
        &elsewhere,
        &record(CREATED, 0, 99, "", ""),
        &record(CREATED, 77, 0, "", ""),
        &record(DEAD_LETTERS, 0, 0, "", ""),
    ] {
        forged.push(receipt(&given_up, copy));
    }
    for receipt in &forged {
        harness.dead_letter(0, receipt).await;
    }
    harness.skip_own().await;
    let listed = harness.redrive(&["list"]).await;
    assert!(listed.line("order.created/0/1").ends_with("pending"), "{listed:?}");
    assert_eq!(harness.redrive(&["run", "--all"]).await.status, 0);
    for receipt in &forged {
        harness.dead_letter(0, receipt).await;
    }
    let again = harness.redrive(&["run", "--all"]).await;
    assert!(again.line("order.created/0/1").contains("already redriven"), "{again:?}");
    assert_eq!(values(&harness.written().await, CREATED), ["{}"]);
}

/// A receipt for a record of the first dead letter that names this copy.
fn receipt(record: &Value, copy: &Value) -> Vec<u8> {
    let position = |record: &Value| {
        let topic = record["topic"].as_str().unwrap();
        format!("{topic}/{}/{}", record["partition"], record["offset"])
    };
    bytes(&json!({
        "type": "RedriveReceipt",
        "record": position(record),
        "deadLetter": format!("{DEAD_LETTERS}/0/0"),
        "putBackAs": position(copy),
    }))
}

#[tokio::test]
async fn text_of_a_dead_letter_cannot_control_the_terminal() {
    let harness = Harness::start().await;
    let foreign = "a\u{1b}[2J\r\n\u{202e}\u{2028}\u{9b}";
    let mut given_up = record(&format!("topic{foreign}"), 0, 0, "", "");
    given_up["key"] = json!(BASE64_STANDARD.encode(foreign));
    let mut forged = message(&[given_up]);
    forged["requestContext"]["condition"] = json!(foreign);
    let forged = bytes(&forged);
    harness.send(FutureRecord::to(DEAD_LETTERS).key(foreign.as_bytes()).payload(&forged[..])).await;
    for arguments in [&["list"][..], &["run", "--all"]] {
        let ended = harness.redrive(arguments).await;
        for foreign in foreign.chars().filter(|it| !it.is_ascii_graphic() && *it != '\n') {
            assert!(!ended.stdout.contains(foreign), "{foreign:?}: {ended:?}");
        }
        assert!(ended.stdout.contains("topica\u{fffd}[2J\u{fffd}\u{fffd}"), "{ended:?}");
    }
}
