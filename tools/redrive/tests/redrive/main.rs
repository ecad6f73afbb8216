//! Dead letters are listed, and redriven unchanged and once.
//!
//! Runs the program as an operator does, against an embedded broker.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first error")]

mod brokers;
mod faults;
mod forged;
mod function;
mod harness;
mod limits;
mod messages;
mod options;

use emulator::tap::TapRecord;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};

use harness::{CREATED, DEAD_LETTERS, Harness, give_up, values};
use messages::{bytes, message, record};

#[tokio::test]
async fn a_dead_letter_is_listed_with_its_cause_and_position() {
    let mut harness = Harness::start().await;
    let sent = FutureRecord::to(CREATED).partition(2).key(&b"ord-1"[..]).payload(&b"{}"[..]);
    harness.send(sent).await;
    give_up(&mut harness, 1).await;
    let listed = harness.redrive(&["list"]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    listed.line("Given up by validator: RetriesExhausted, Unhandled");
    let words: Vec<_> = listed.line("order.created/2/0").split("  ").map(str::trim).collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let ["order.created/2/0", "ord-1", written, given_up, "pending"] = words[..] else {
        panic!("{listed:?}")
    };
    assert!(written.ends_with(" s ago") && given_up.ends_with(" s ago"), "{listed:?}");
}

#[tokio::test]
async fn a_record_is_redriven_byte_for_byte_and_once() {
    let mut harness = Harness::start().await;
    let headers = OwnedHeaders::new()
        .insert(Header { key: "ce_type", value: Some(&[79_u8, 0, 127, 128, 255][..]) })
        .insert(Header { key: "again", value: Some("second comes first") })
        .insert(Header { key: "null", value: None::<&[u8]> })
        .insert(Header { key: "again", value: Some("and again") })
        .insert(Header { key: "empty", value: Some("") });
    let (key, value) = (&[0xff_u8, 0][..], &[0_u8, 159, 146, 150][..]);
    harness.send(FutureRecord::to(CREATED).key(key).payload(value).headers(headers)).await;
    let original = harness.next().await;
    give_up(&mut harness, 1).await;
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let again = harness.redrive(&["run", "--all"]).await;
    assert!(again.line("order.created").contains("already redriven"), "{again:?}");
    let mut written = harness.written().await;
    written.sort_by(|one, other| one.topic.cmp(&other.topic));
    let [copy, receipt] = &written[..] else { panic!("{written:?}") };
    assert_eq!(copy.headers, original.headers);
    assert_eq!(
        (&copy.topic, copy.partition, &copy.key, &copy.payload),
        (&original.topic, original.partition, &original.key, &original.payload)
    );
    assert_eq!(receipt.topic, DEAD_LETTERS);
}

#[tokio::test]
async fn a_second_redrive_changes_nothing() {
    let mut harness = Harness::start().await;
    let first = harness.given_up(CREATED, 0, "ord-1", "first").await;
    let second = harness.given_up(CREATED, 0, "ord-1", "second").await;
    harness.give_up(1, &[first, second]).await;
    let position = format!("{CREATED}/0/0");
    let first = harness.redrive(&["run", &position]).await;
    assert_eq!(first.status, 0, "{first:?}");
    assert!(first.line(&position).contains("redriven as order.created/"), "{first:?}");
    // One of the two records is redriven, the other is pending.
    let listed = harness.redrive(&["list"]).await;
    assert!(listed.line(&position).ends_with("s ago"), "{listed:?}");
    assert!(listed.line("order.created/0/1").ends_with("pending"), "{listed:?}");
    for _ in 0..2 {
        let all = harness.redrive(&["run", "--all"]).await;
        assert_eq!(all.status, 0, "{all:?}");
    }
    let third = harness.redrive(&["run", &position]).await;
    assert_eq!(third.status, 0, "{third:?}");
    assert!(third.stdout.contains("1 record already redriven"), "{third:?}");
    let written = harness.written().await;
    assert_eq!(values(&written, CREATED), ["first", "second"]);
    assert_eq!(values(&written, DEAD_LETTERS).len(), 2);
}

#[tokio::test]
async fn an_unreadable_dead_letter_is_listed_and_does_not_stop_the_others() {
    let mut harness = Harness::start().await;
    harness.dead_letter(0, b"hello").await;
    let mut nowhere = record(CREATED, 0, 7, "ord-7", "{}");
    nowhere["partition"] = json!("not a number");
    let good = harness.given_up(CREATED, 0, "ord-8", "good").await;
    harness.dead_letter(0, &bytes(&message(&[nowhere, good]))).await;
    let without_record = json!({ "requestContext": { "condition": "RetriesExhausted" } });
    harness.dead_letter(0, &bytes(&without_record)).await;
    harness.skip_own().await;
    let listed = harness.redrive(&["list"]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    for expected in [
        "order.dead-letter/0/0 is unreadable: not JSON",
        "order.dead-letter/0/1 is unreadable: a record in it has no valid partition",
        "order.dead-letter/0/2 is unreadable: no records in it",
    ] {
        listed.line(expected);
    }
    assert!(listed.line("order.created/0/0").ends_with("pending"));
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stdout.contains("1 record redriven, 3 records not redriven"), "{ended:?}");
    assert_eq!(values(&harness.written().await, CREATED), ["good"]);
}

#[tokio::test]
async fn records_of_a_partition_are_redriven_in_offset_order() {
    let mut harness = Harness::start().await;
    let mut created = Vec::new();
    for value in ["created 0", "created 1", "created 2"] {
        created.push(harness.given_up(CREATED, 1, "ord-1", value).await);
    }
    let failed = harness.given_up("order.failed", 0, "ord-2", "failed 0").await;
    let mut as_text = message(&[created[2].clone(), failed, created[0].clone()]);
    as_text["payload"] = as_text["payload"].to_string().into();
    harness.dead_letter(2, &bytes(&as_text)).await;
    harness.give_up(0, &[created[1].clone()]).await;
    let ended = harness.redrive(&["run", "--all", "--topic", CREATED]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let written = harness.written().await;
    assert_eq!(values(&written, CREATED), ["created 0", "created 1", "created 2"]);
    assert_eq!(values(&written, "order.failed"), [""; 0]);
}

#[tokio::test]
async fn a_record_without_key_and_value_is_redriven_to_its_partition() {
    let mut harness = Harness::start().await;
    let original = [2; 8];
    for partition in original {
        let bare = FutureRecord::to(CREATED).partition(partition);
        let offset = harness.send(bare).await;
        let mut bare = record(CREATED, partition, offset, "", "");
        bare.as_object_mut().unwrap().remove("key");
        bare["value"] = Value::Null;
        harness.dead_letter(0, &bytes(&message(&[bare]))).await;
    }
    let empty = harness.given_up(CREATED, 0, "", "").await;
    harness.give_up(0, &[empty]).await;
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let written = harness.written().await;
    let copies: Vec<_> = written.iter().filter(|record| record.topic == CREATED).collect();
    let (bare, empty): (Vec<&&TapRecord>, _) = copies.iter().partition(|copy| copy.key.is_none());
    let partitions: Vec<_> = bare.iter().map(|copy| copy.partition).collect();
    assert_eq!(partitions, original);
    assert!(bare.iter().all(|copy| copy.payload.is_none()));
    // Empty, not missing.
    assert_eq!(
        (empty[0].key.as_deref(), empty[0].payload.as_deref()),
        (Some(&[][..]), Some(&[][..]))
    );
}

#[tokio::test]
async fn nothing_is_written_to_a_foreign_topic() {
    let mut harness = Harness::start().await;
    let elsewhere = harness.given_up("somebody.elses", 0, "k", "v").await;
    harness.give_up(0, &[elsewhere, record(DEAD_LETTERS, 0, 0, "k", "v")]).await;
    let listed = harness.redrive(&["list"]).await;
    assert!(listed.line("somebody.elses/0/0").contains("foreign"), "{listed:?}");
    let ended = harness.redrive(&["run", "somebody.elses/0/0"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert_eq!(harness.redrive(&["run", "--all"]).await.status, 1);
    assert_eq!(harness.written().await.len(), 0);
}

#[tokio::test]
async fn a_record_with_two_dead_letters_is_redriven_once() {
    let mut harness = Harness::start().await;
    let given_up = harness.given_up("order.failed", 0, "ord-1", "failed").await;
    harness.give_up(0, std::slice::from_ref(&given_up)).await;
    harness.give_up(1, &[given_up]).await;
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(harness.redrive(&["run", "--all"]).await.status, 0);
    assert_eq!(values(&harness.written().await, "order.failed"), ["failed"]);
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let mut harness = Harness::start().await;
    let given_up = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    harness.give_up(0, &[given_up]).await;
    let ended = harness.redrive(&["run", "--all", "--dry-run"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("would be redriven"), "{ended:?}");
    assert_eq!(harness.written().await.len(), 0);
}

#[tokio::test]
async fn a_record_older_than_the_rows_is_redriven_only_by_its_position() {
    let mut harness = Harness::start().await;
    let days_ago = |days: i64| jiff::Timestamp::now() - jiff::SignedDuration::from_hours(days * 24);
    let mut records = Vec::new();
    for (days, value) in [(31, "old"), (29, "young")] {
        let written = FutureRecord::to(CREATED).partition(0).key(&b"ord-1"[..]);
        let written = written.timestamp(days_ago(days).as_millisecond());
        let offset = harness.send(written.payload(value.as_bytes())).await;
        // The dead letter may have another timestamp.
        records.push(record(CREATED, 0, offset, "ord-1", value));
    }
    harness.give_up(0, &records).await;
    let listed = harness.redrive(&["list"]).await;
    let warnings = listed.stdout.matches("warning: ").count();
    assert_eq!(warnings, 1, "{listed:?}");
    assert!(listed.line("warning: order.created/0/0").contains("31 days ago"), "{listed:?}");
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("older than its stages' rows"), "{ended:?}");
    assert_eq!(values(&harness.written().await, CREATED), ["young"]);
    let ended = harness.redrive(&["run", "order.created/0/0"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stdout.contains("warning: order.created/0/0"), "{ended:?}");
    assert_eq!(values(&harness.written().await, CREATED), ["old"]);
}

#[tokio::test]
async fn a_wrong_command_is_rejected_before_anything_is_written() {
    let mut harness = Harness::start().await;
    let given_up = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    harness.give_up(0, &[given_up]).await;
    for wrong in [
        &["run"][..],
        &["run", "order.created/0/0", "order.created/0/99"],
        &["run", "order.created"],
        &["list", "--kafka", ""],
        &["list", "--topic", "order.dead-letter"],
        &[],
    ] {
        let ended = harness.redrive(wrong).await;
        assert_eq!(ended.status, 2, "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert_eq!(harness.written().await.len(), 0);
}

#[tokio::test]
async fn a_record_that_the_broker_rejects_is_reported_and_does_not_stop_the_others() {
    let mut harness = Harness::start().await;
    let lost = harness.given_up(CREATED, 0, "ord-1", "lost").await;
    let found = harness.given_up("order.failed", 0, "ord-1", "found").await;
    harness.give_up(0, &[lost, found]).await;
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    harness.broker.mock().unwrap().request_errors(RDKafkaApiKey::Produce, &[too_large]);
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("not redriven: "), "{ended:?}");
    assert!(ended.line("order.failed/0/0").contains("redriven as order.failed/"), "{ended:?}");
    assert_eq!(values(&harness.written().await, "order.failed"), ["found"]);
}
