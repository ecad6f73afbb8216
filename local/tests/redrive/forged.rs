//! Letters and receipts that no mapping and no redrive wrote: what can they do?

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use serde_json::{Value, json};

use super::rig::{CREATED, DEAD_LETTERS, Rig, bytes, letter, record, values};

#[tokio::test]
async fn a_forged_letter_gets_nothing_of_its_own_onto_a_topic() {
    let mut rig = Rig::start().await;
    let headers = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some("true") });
    let lies_there = FutureRecord::to(CREATED).partition(2).headers(headers);
    rig.send(lies_there.key(&b"ord-1"[..]).payload(&b"true"[..])).await;
    let mut forged = record(CREATED, 2, 0, "ord-9", "forged");
    forged["headers"] = json!([{ "ce_id": [102, 111] }]);
    rig.give_up(0, &[forged]).await;
    let listed = rig.redrive(&["list"]).await;
    let warning =
        "warning: order.created/2/0 is not what the dead letter order.dead-letter/0/0 says";
    listed.line(warning);
    assert!(listed.line("order.created/2/0").contains("ord-1"), "the record's key: {listed:?}");
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.line(warning);
    let written = rig.written().await;
    let copies: Vec<_> = written.iter().filter(|record| record.topic == CREATED).collect();
    let [copy] = copies[..] else { panic!("{written:?}") };
    assert_eq!(copy.payload.as_deref(), Some(&b"true"[..]));
    assert_eq!(copy.key.as_deref(), Some(&b"ord-1"[..]));
    assert_eq!(copy.headers, [("ce_id".to_owned(), Some(b"true".to_vec()))]);
}

#[tokio::test]
async fn a_letter_about_no_record_is_told_and_left() {
    let mut rig = Rig::start().await;
    let there = rig.given_up(CREATED, 0, "ord-1", "there").await;
    // An offset that was never written, and a partition that the topic does not have.
    rig.give_up(0, &[record(CREATED, 0, 5, "o", "{}"), record(CREATED, 77, 0, "o", "{}"), there])
        .await;
    let listed = rig.redrive(&["list"]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    listed.line("order.created/0/5 is gone: ");
    listed.line("order.created/77/0 is gone: ");
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/5").contains("no record lies there"), "{ended:?}");
    assert!(ended.printed.contains("1 record put back, 2 records not put back"), "{ended:?}");
    let alone = rig.redrive(&["put-back", "order.created/77/0"]).await;
    assert_eq!(alone.status, 1, "{alone:?}");
    assert_eq!(values(&rig.written().await, CREATED), ["there"]);
}

#[tokio::test]
async fn a_record_is_put_back_though_its_letter_spoils_its_bytes() {
    let mut rig = Rig::start().await;
    let mut given_up = rig.given_up(CREATED, 0, "ord-1", "there").await;
    given_up["value"] = json!("no base64!");
    given_up["headers"] = json!("no list");
    rig.give_up(0, &[given_up]).await;
    assert_eq!(rig.redrive(&["put-back", "--all"]).await.status, 0);
    assert_eq!(values(&rig.written().await, CREATED), ["there"]);
}

#[tokio::test]
async fn a_forged_receipt_hides_no_letter_and_undoes_no_true_one() {
    let mut rig = Rig::start().await;
    let earlier = rig.given_up(CREATED, 0, "ord-1", "{}").await;
    let given_up = rig.given_up(CREATED, 0, "ord-1", "{}").await;
    let other = rig.given_up(CREATED, 0, "ord-1", "other").await;
    let elsewhere = rig.given_up("somebody.elses", 0, "ord-1", "{}").await;
    rig.give_up(0, std::slice::from_ref(&given_up)).await;
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
        rig.dead_letter(0, receipt).await;
    }
    rig.forget().await;
    let listed = rig.redrive(&["list"]).await;
    assert!(listed.line("order.created/0/1").ends_with("waits"), "{listed:?}");
    assert_eq!(rig.redrive(&["put-back", "--all"]).await.status, 0);
    for receipt in &forged {
        rig.dead_letter(0, receipt).await;
    }
    let again = rig.redrive(&["put-back", "--all"]).await;
    assert!(again.line("order.created/0/1").contains("left: was put back"), "{again:?}");
    assert_eq!(values(&rig.written().await, CREATED), ["{}"]);
}

/// Says that a record of the first letter was put back as this one.
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
async fn what_a_letter_says_moves_no_cursor() {
    let rig = Rig::start().await;
    let foreign = "a\u{1b}[2J\r\n\u{202e}\u{2028}\u{9b}";
    let mut given_up = record(&format!("topic{foreign}"), 0, 0, "", "");
    given_up["key"] = json!(BASE64_STANDARD.encode(foreign));
    let mut letter = letter(&[given_up]);
    letter["requestContext"]["condition"] = json!(foreign);
    let letter = bytes(&letter);
    rig.send(FutureRecord::to(DEAD_LETTERS).key(foreign.as_bytes()).payload(&letter[..])).await;
    for arguments in [&["list"][..], &["put-back", "--all"]] {
        let ended = rig.redrive(arguments).await;
        for foreign in foreign.chars().filter(|it| !it.is_ascii_graphic() && *it != '\n') {
            assert!(!ended.printed.contains(foreign), "{foreign:?}: {ended:?}");
        }
        assert!(ended.printed.contains("topica\u{fffd}[2J\u{fffd}\u{fffd}"), "{ended:?}");
    }
}
