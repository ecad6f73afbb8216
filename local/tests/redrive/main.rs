//! Are records that were given up listed, and put back as they were, once?
//!
//! The program runs as a person runs it, against an embedded broker.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at a fault")]

mod faults;
mod forged;
mod rig;

use local::tap::TapRecord;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};

use rig::{CREATED, DEAD_LETTERS, Rig, bytes, give_up, letter, record, values};

#[tokio::test]
async fn a_record_that_its_mapping_gave_up_is_listed_with_why_and_from_where() {
    let mut rig = Rig::start().await;
    let sent = FutureRecord::to(CREATED).partition(2).key(&b"ord-1"[..]).payload(&b"{}"[..]);
    rig.send(sent).await;
    give_up(&mut rig, 1).await;
    let listed = rig.redrive(&["list"]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    listed.line("Given up by validator: RetriesExhausted, Unhandled");
    let words: Vec<_> = listed.line("order.created/2/0").split("  ").map(str::trim).collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let ["order.created/2/0", "ord-1", written, given_up, "waits"] = words[..] else {
        panic!("{listed:?}")
    };
    assert!(written.ends_with(" s ago") && given_up.ends_with(" s ago"), "{listed:?}");
}

#[tokio::test]
async fn a_record_that_its_mapping_gave_up_goes_back_byte_for_byte_and_once() {
    let mut rig = Rig::start().await;
    let headers = OwnedHeaders::new()
        .insert(Header { key: "ce_type", value: Some(&[79_u8, 0, 127, 128, 255][..]) })
        .insert(Header { key: "again", value: Some("second comes first") })
        .insert(Header { key: "null", value: None::<&[u8]> })
        .insert(Header { key: "again", value: Some("and again") })
        .insert(Header { key: "empty", value: Some("") });
    let (key, value) = (&[0xff_u8, 0][..], &[0_u8, 159, 146, 150][..]);
    rig.send(FutureRecord::to(CREATED).key(key).payload(value).headers(headers)).await;
    let original = rig.next().await;
    give_up(&mut rig, 1).await;
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let again = rig.redrive(&["put-back", "--all"]).await;
    assert!(again.line("order.created").contains("left: was put back"), "{again:?}");
    let mut written = rig.written().await;
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
async fn putting_back_twice_changes_nothing_the_second_time() {
    let mut rig = Rig::start().await;
    let first = rig.given_up(CREATED, 0, "ord-1", "first").await;
    let second = rig.given_up(CREATED, 0, "ord-1", "second").await;
    rig.give_up(1, &[first, second]).await;
    let position = format!("{CREATED}/0/0");
    let first = rig.redrive(&["put-back", &position]).await;
    assert_eq!(first.status, 0, "{first:?}");
    assert!(first.line(&position).contains("put back as order.created/"), "{first:?}");
    // One of the letter's records is back, the other still waits.
    let listed = rig.redrive(&["list"]).await;
    assert!(listed.line(&position).ends_with("s ago"), "{listed:?}");
    assert!(listed.line("order.created/0/1").ends_with("waits"), "{listed:?}");
    for _ in 0..2 {
        let all = rig.redrive(&["put-back", "--all"]).await;
        assert_eq!(all.status, 0, "{all:?}");
    }
    let third = rig.redrive(&["put-back", &position]).await;
    assert_eq!(third.status, 0, "{third:?}");
    assert!(third.printed.contains("1 record put back before and left as it is"), "{third:?}");
    let written = rig.written().await;
    assert_eq!(values(&written, CREATED), ["first", "second"]);
    assert_eq!(values(&written, DEAD_LETTERS).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_and_stops_no_other() {
    let mut rig = Rig::start().await;
    rig.dead_letter(0, b"hello").await;
    let mut nowhere = record(CREATED, 0, 7, "ord-7", "{}");
    nowhere["partition"] = json!("no number");
    let good = rig.given_up(CREATED, 0, "ord-8", "good").await;
    rig.dead_letter(0, &bytes(&letter(&[nowhere, good]))).await;
    let without_record = json!({ "requestContext": { "condition": "RetriesExhausted" } });
    rig.dead_letter(0, &bytes(&without_record)).await;
    rig.forget().await;
    let listed = rig.redrive(&["list"]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    for told in [
        "order.dead-letter/0/0 is unreadable: it is no JSON",
        "order.dead-letter/0/1 is unreadable: a record in it names no partition",
        "order.dead-letter/0/2 is unreadable: it carries no record",
    ] {
        listed.line(told);
    }
    assert!(listed.line("order.created/0/0").ends_with("waits"));
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.printed.contains("1 record put back, 3 records not put back"), "{ended:?}");
    assert_eq!(values(&rig.written().await, CREATED), ["good"]);
}

#[tokio::test]
async fn the_records_of_a_partition_go_back_in_the_order_of_their_offsets() {
    let mut rig = Rig::start().await;
    let mut created = Vec::new();
    for value in ["created 0", "created 1", "created 2"] {
        created.push(rig.given_up(CREATED, 1, "ord-1", value).await);
    }
    let failed = rig.given_up("order.failed", 0, "ord-2", "failed 0").await;
    let mut as_text = letter(&[created[2].clone(), failed, created[0].clone()]);
    as_text["payload"] = as_text["payload"].to_string().into();
    rig.dead_letter(2, &bytes(&as_text)).await;
    rig.give_up(0, &[created[1].clone()]).await;
    let ended = rig.redrive(&["put-back", "--all", "--topic", CREATED]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let written = rig.written().await;
    assert_eq!(values(&written, CREATED), ["created 0", "created 1", "created 2"]);
    assert_eq!(values(&written, "order.failed"), [""; 0]);
}

#[tokio::test]
async fn a_record_without_key_and_value_goes_back_to_its_partition_without_them() {
    let mut rig = Rig::start().await;
    let original = [2; 8];
    for partition in original {
        let bare = FutureRecord::to(CREATED).partition(partition);
        let offset = rig.send(bare).await;
        let mut bare = record(CREATED, partition, offset, "", "");
        bare.as_object_mut().unwrap().remove("key");
        bare["value"] = Value::Null;
        rig.dead_letter(0, &bytes(&letter(&[bare]))).await;
    }
    let empty = rig.given_up(CREATED, 0, "", "").await;
    rig.give_up(0, &[empty]).await;
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let written = rig.written().await;
    let copies: Vec<_> = written.iter().filter(|record| record.topic == CREATED).collect();
    let (bare, empty): (Vec<&&TapRecord>, _) = copies.iter().partition(|copy| copy.key.is_none());
    let partitions: Vec<_> = bare.iter().map(|copy| copy.partition).collect();
    assert_eq!(partitions, original);
    assert!(bare.iter().all(|copy| copy.payload.is_none()));
    // Empty is not the same as none.
    assert_eq!(
        (empty[0].key.as_deref(), empty[0].payload.as_deref()),
        (Some(&[][..]), Some(&[][..]))
    );
}

#[tokio::test]
async fn nothing_is_written_to_a_topic_that_is_none_of_the_workflows() {
    let mut rig = Rig::start().await;
    let elsewhere = rig.given_up("somebody.elses", 0, "k", "v").await;
    rig.give_up(0, &[elsewhere, record(DEAD_LETTERS, 0, 0, "k", "v")]).await;
    let listed = rig.redrive(&["list"]).await;
    assert!(listed.line("somebody.elses/0/0").contains("foreign"), "{listed:?}");
    let ended = rig.redrive(&["put-back", "somebody.elses/0/0"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert_eq!(rig.redrive(&["put-back", "--all"]).await.status, 1);
    assert_eq!(rig.written().await.len(), 0);
}

#[tokio::test]
async fn a_record_that_two_functions_gave_up_goes_back_once() {
    let mut rig = Rig::start().await;
    let given_up = rig.given_up("order.failed", 0, "ord-1", "failed").await;
    rig.give_up(0, std::slice::from_ref(&given_up)).await;
    rig.give_up(1, &[given_up]).await;
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(rig.redrive(&["put-back", "--all"]).await.status, 0);
    assert_eq!(values(&rig.written().await, "order.failed"), ["failed"]);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let mut rig = Rig::start().await;
    let given_up = rig.given_up(CREATED, 0, "ord-1", "{}").await;
    rig.give_up(0, &[given_up]).await;
    let ended = rig.redrive(&["put-back", "--all", "--dry-run"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("would be put back"), "{ended:?}");
    assert_eq!(rig.written().await.len(), 0);
}

#[tokio::test]
async fn a_record_that_its_stage_has_forgotten_is_put_back_only_by_its_position() {
    let mut rig = Rig::start().await;
    let days_ago = |days: i64| jiff::Timestamp::now() - jiff::SignedDuration::from_hours(days * 24);
    let mut records = Vec::new();
    for (days, value) in [(31, "old"), (29, "young")] {
        let written = FutureRecord::to(CREATED).partition(0).key(&b"ord-1"[..]);
        let written = written.timestamp(days_ago(days).as_millisecond());
        let offset = rig.send(written.payload(value.as_bytes())).await;
        // A letter may say that it is younger.
        records.push(record(CREATED, 0, offset, "ord-1", value));
    }
    rig.give_up(0, &records).await;
    let listed = rig.redrive(&["list"]).await;
    let warnings = listed.printed.matches("warning: ").count();
    assert_eq!(warnings, 1, "{listed:?}");
    assert!(listed.line("warning: order.created/0/0").contains("31 days ago"), "{listed:?}");
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("have forgotten it"), "{ended:?}");
    assert_eq!(values(&rig.written().await, CREATED), ["young"]);
    let ended = rig.redrive(&["put-back", "order.created/0/0"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.printed.contains("warning: order.created/0/0"), "{ended:?}");
    assert_eq!(values(&rig.written().await, CREATED), ["old"]);
}

#[tokio::test]
async fn a_slip_in_the_command_is_found_before_anything_is_written() {
    let mut rig = Rig::start().await;
    let given_up = rig.given_up(CREATED, 0, "ord-1", "{}").await;
    rig.give_up(0, &[given_up]).await;
    for wrong in [
        &["put-back"][..],
        &["put-back", "order.created/0/0", "order.created/0/99"],
        &["put-back", "order.created"],
        &["list", "--kafka", ""],
        &["list", "--topic", "order.dead-letter"],
        &[],
    ] {
        let ended = rig.redrive(wrong).await;
        assert_eq!(ended.status, 2, "{ended:?}");
        assert_eq!(ended.complained.lines().count(), 1, "{ended:?}");
    }
    assert_eq!(rig.written().await.len(), 0);
}

#[tokio::test]
async fn a_record_that_the_broker_refuses_is_told_and_stops_no_other() {
    let mut rig = Rig::start().await;
    let lost = rig.given_up(CREATED, 0, "ord-1", "lost").await;
    let found = rig.given_up("order.failed", 0, "ord-1", "found").await;
    rig.give_up(0, &[lost, found]).await;
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    rig.broker.mock().unwrap().request_errors(RDKafkaApiKey::Produce, &[too_large]);
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("not put back: "), "{ended:?}");
    assert!(ended.line("order.failed/0/0").contains("put back as order.failed/"), "{ended:?}");
    assert_eq!(values(&rig.written().await, "order.failed"), ["found"]);
}
