//! The options of both programs: each is tried on the command line and in the function's payload.

use std::time::Duration;

use rdkafka::producer::FutureRecord;
use serde_json::json;

use super::function::Function;
use super::harness::{
    CREATED, DEAD_LETTERS, Harness, PREFIXED_CREATED, PREFIXED_DEAD_LETTERS, values,
};
use super::messages::{bytes, message};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes so many records, and gives up each in a message of its own.
pub(crate) async fn given_up(harness: &mut Harness, count: usize) {
    for index in 0..count {
        let record = harness.given_up(CREATED, 0, "ord-1", &index.to_string()).await;
        harness.dead_letter(0, &bytes(&message(&[record]))).await;
    }
    harness.skip_own().await;
}

#[tokio::test]
async fn the_function_lists_and_redrives_as_the_command_does() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    assert_eq!(function.result(json!({ "command": "list" })).await["deadLetters"], json!([]));
    given_up(&mut harness, 1).await;
    harness.dead_letter(1, b"hello").await;
    harness.skip_own().await;
    let listed = function.result(json!({ "command": "list" })).await;
    let [pending, unreadable] = &listed["deadLetters"].as_array().unwrap()[..] else {
        panic!("{listed}")
    };
    for (name, expected) in [
        ("record", json!("order.created/0/0")),
        ("deadLetter", json!("order.dead-letter/0/0")),
        ("key", json!("ord-1")),
        ("function", json!("validator")),
        ("condition", json!("RetriesExhausted")),
        ("state", json!("pending")),
        ("returns", json!(0)),
    ] {
        assert_eq!(pending[name], expected, "{listed}");
    }
    assert_eq!(unreadable["state"], "unreadable");
    assert!(unreadable["reason"].as_str().unwrap().starts_with("not JSON"), "{listed}");

    let run = function.result(json!({ "command": "run", "all": true })).await;
    assert_eq!(run["counts"], json!({ "notRedriven": 1, "redriven": 1 }), "{run}");
    assert_eq!((&run["errors"], &run["left"]), (&json!(1), &json!(0)), "{run}");
    let again = function.result(json!({ "command": "run", "all": true })).await;
    assert_eq!(again["counts"], json!({ "alreadyRedriven": 1, "notRedriven": 1 }), "{again}");
    let command = harness.redrive(&["list"]).await;
    assert!(command.line("order.created/0/0").contains("redriven"), "{command:?}");
    let written = harness.written().await;
    assert_eq!(values(&written, CREATED), ["0"]);
    assert_eq!(values(&written, DEAD_LETTERS).len(), 1, "one receipt");
    function.stop().await;
}

#[tokio::test]
async fn a_dry_run_of_the_function_writes_nothing() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    given_up(&mut harness, 2).await;
    let run = json!({ "command": "run", "all": true, "dryRun": true, "max": 1 });
    let run = function.result(run).await;
    assert_eq!(run["counts"], json!({ "wouldRedrive": 1 }), "{run}");
    assert_eq!((&run["left"], &run["stoppedBy"]), (&json!(1), &json!("max")), "{run}");
    assert_eq!(harness.written().await.len(), 0);
    function.stop().await;
}

#[tokio::test]
async fn records_are_selected_by_the_time_at_which_they_were_given_up() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    let now = jiff::Timestamp::now();
    for (index, hours) in [(0, 5), (1, 3), (2, 1)] {
        let record = harness.given_up(CREATED, 0, "ord-1", &index.to_string()).await;
        let written = FutureRecord::to(DEAD_LETTERS).partition(0).key(&b"key"[..]);
        let at = now - jiff::SignedDuration::from_hours(hours);
        let message = bytes(&message(&[record]));
        harness.send(written.timestamp(at.as_millisecond()).payload(&message[..])).await;
    }
    harness.skip_own().await;
    let since = (now - jiff::SignedDuration::from_hours(4)).to_string();
    for since in ["4h", "240m", &since] {
        let listed = harness.redrive(&["list", "--since", since]).await;
        assert!(!listed.stdout.contains("order.created/0/0"), "{since}: {listed:?}");
        listed.line("order.created/0/1");
        let listed = function.result(json!({ "command": "list", "since": since })).await;
        assert_eq!(listed["deadLetters"].as_array().unwrap().len(), 2, "{since}: {listed}");
    }
    let ended = harness.redrive(&["run", "--since", "2h"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    let run = function.result(json!({ "command": "run", "since": since })).await;
    assert_eq!(run["counts"], json!({ "alreadyRedriven": 1, "redriven": 1 }), "{run}");
    assert_eq!(values(&harness.written().await, CREATED), ["2", "1"]);
    function.stop().await;
}

#[tokio::test]
async fn at_most_so_many_records_are_listed_and_redriven_and_the_next_run_continues() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    given_up(&mut harness, 5).await;
    let listed = harness.redrive(&["list", "--max", "2"]).await;
    listed.line("3 records left: list again with --after order.created/0/1");
    let listed = harness.redrive(&["list", "--after", "order.created/0/1"]).await;
    assert!(!listed.stdout.contains("order.created/0/1 "), "{listed:?}");
    listed.line("order.created/0/2");
    // The function returns the payload that goes on.
    let (mut payload, mut seen) = (json!({ "command": "list", "max": 2 }), Vec::new());
    while !payload.is_null() {
        let page = function.result(payload).await;
        let records = page["deadLetters"].as_array().unwrap().iter();
        seen.extend(records.map(|it| it["record"].as_str().unwrap().to_owned()));
        assert_eq!(page["left"], json!(5 - seen.len()));
        payload = page["next"].clone();
    }
    assert_eq!(seen, [0, 1, 2, 3, 4].map(|offset| format!("order.created/0/{offset}")));

    let ended = harness.redrive(&["run", "--all", "--max", "2"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.line("3 records left: run again.");
    assert_eq!(values(&harness.written().await, CREATED), ["0", "1"]);
    let run = function.result(json!({ "command": "run", "all": true, "max": 2 })).await;
    assert_eq!((&run["left"], &run["stoppedBy"]), (&json!(1), &json!("max")), "{run}");
    assert_eq!(values(&harness.written().await, CREATED), ["2", "3"]);
    function.stop().await;
}

#[tokio::test]
async fn a_wrong_payload_is_an_error_that_says_what_to_do_and_writes_nothing() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    given_up(&mut harness, 1).await;
    for (payload, expected) in [
        (json!({}), "no command"),
        (json!([]), "no command"),
        (json!({ "command": "delete" }), "no command"),
        (json!({ "command": "run" }), "nothing to redrive was given"),
        (json!({ "command": "run", "topic": "order.created" }), "nothing to redrive was given"),
        (json!({ "command": "run", "all": true, "dryrun": true }), "unknown field `dryrun`"),
        (json!({ "command": "run", "all": true, "max": 0 }), "the payload"),
        (json!({ "command": "run", "all": true, "positions": ["order.created/0/0"] }), "either"),
        (json!({ "command": "run", "positions": ["order.created/0/9"] }), "no dead letter for"),
        (json!({ "command": "list", "topic": "order.dead-letter" }), "give one of order.created"),
        (json!({ "command": "list", "since": "yesterday" }), "is not a time"),
        (json!({ "command": "list", "since": "2999-01-01T00:00:00Z" }), "is not in the past"),
    ] {
        let error = function.error(payload).await;
        assert_eq!(error.error_type, "InvalidPayload");
        assert!(error.error_message.contains(expected), "{expected}: {error:?}");
    }
    assert_eq!(harness.written().await.len(), 0);
    function.stop().await;
}

#[tokio::test]
async fn the_topics_of_a_stack_with_a_prefix_are_its_own() {
    let mut harness = Harness::start().await;
    let own = harness.given_up(PREFIXED_CREATED, 0, "ord-1", "own").await;
    let others = harness.given_up(CREATED, 0, "ord-1", "others").await;
    let written = FutureRecord::to(PREFIXED_DEAD_LETTERS).partition(1).key(&b"key"[..]);
    harness.send(written.payload(&bytes(&message(&[own, others]))[..])).await;
    harness.skip_own().await;
    let blue = ["--topic-prefix", "blue."];
    let listed = [&["list", "--topic", CREATED][..], &blue].concat();
    let listed = harness.redrive(&listed).await;
    assert!(listed.line("blue.order.created/0/0").ends_with("pending"), "{listed:?}");
    let ended = harness.redrive(&[&["run", "--all"][..], &blue].concat()).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.line("order.created/0/0").contains("not a topic of the workflow"), "{ended:?}");
    let again = harness.redrive(&[&["run", "blue.order.created/0/0"][..], &blue].concat()).await;
    assert!(again.stdout.contains("1 record already redriven"), "{again:?}");
    let function = Function::start_with(&harness, TIMEOUT, &[("TOPIC_PREFIX", "blue.")]).await;
    let listed = function.result(json!({ "command": "list", "topic": CREATED })).await;
    assert_eq!(listed["deadLetters"][0]["state"], "redriven", "{listed}");
    assert_eq!(listed["deadLetters"].as_array().unwrap().len(), 1, "{listed}");
    let written = harness.written().await;
    assert_eq!(values(&written, PREFIXED_CREATED), ["own"]);
    assert_eq!(values(&written, PREFIXED_DEAD_LETTERS).len(), 1, "the receipt");
    function.stop().await;
}
