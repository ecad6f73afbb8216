//! Records that keep coming back, the function's deadline, and the size of its response.

use std::time::Duration;

use serde_json::{Value, json};

use super::function::Function;
use super::harness::{CREATED, Harness, values};
use super::messages::{bytes, message, record};
use super::options::{TIMEOUT, given_up};

/// Redrives the last copy of the record and gives it up again, so many times; returns the position
/// of the last copy.
async fn come_back(harness: &Harness, times: usize) -> String {
    let mut given_up = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    let mut position = "order.created/0/0".to_owned();
    for _ in 0..times {
        harness.dead_letter(0, &bytes(&message(&[given_up]))).await;
        let ended = harness.redrive(&["run", &position]).await;
        assert_eq!(ended.status, 0, "{ended:?}");
        let copy = ended.line(&position).split("redriven as ").nth(1).unwrap();
        position = copy.to_owned();
        let [_, partition, offset] = copy.split('/').collect::<Vec<_>>()[..] else {
            panic!("{copy}")
        };
        let (partition, offset) = (partition.parse().unwrap(), offset.parse().unwrap());
        given_up = record(CREATED, partition, offset, "ord-1", "{}");
    }
    harness.dead_letter(0, &bytes(&message(&[given_up]))).await;
    position
}

#[tokio::test]
async fn a_record_that_keeps_coming_back_is_refused_until_it_is_forced() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    let third = come_back(&harness, 2).await;
    let copies = 3;
    // Twice is allowed by default, and refused above one.
    for arguments in [&["--all"][..], &[&third]] {
        let refused = [&["run", "--max-returns", "1"][..], arguments].concat();
        let refused = harness.redrive(&refused).await;
        assert_eq!(refused.status, 1, "{refused:?}");
        let line = refused.line(&third);
        assert!(line.contains("redriven 2 times and given up again each time"), "{refused:?}");
    }
    let payload = json!({ "command": "run", "positions": [third], "maxReturns": 1 });
    let refused = function.result(payload.clone()).await;
    assert_eq!(refused["counts"], json!({ "notRedriven": 1 }), "{refused}");
    assert!(refused["outcomes"][0]["reason"].as_str().unwrap().contains("force"), "{refused}");

    let listed = harness.redrive(&["list"]).await;
    assert!(listed.line(&third).ends_with("pending, came back 2 times"), "{listed:?}");
    let mut forced = payload;
    forced["force"] = true.into();
    let forced = function.result(forced).await;
    assert_eq!(forced["counts"], json!({ "redriven": 1 }), "{forced}");
    assert_eq!(values(&harness.written().await, CREATED).len(), copies + 1);
    function.stop().await;
}

#[tokio::test]
async fn a_record_may_come_back_three_times() {
    let harness = Harness::start().await;
    let last = come_back(&harness, 4).await;
    let refused = harness.redrive(&["run", "--all"]).await;
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.line(&last).contains("redriven 4 times"), "{refused:?}");
    let forced = harness.redrive(&["run", &last, "--force"]).await;
    assert_eq!(forced.status, 0, "{forced:?}");
}

#[tokio::test]
async fn the_function_stops_before_its_deadline_and_the_next_run_continues() {
    let mut harness = Harness::start().await;
    // A record and its receipt may take 10 seconds, and the response takes one.
    let function = Function::start(&harness, Duration::from_secs(30)).await;
    given_up(&mut harness, 40).await;
    let slow = |harness: &Harness, delay| {
        harness.broker.mock().unwrap().broker_round_trip_time(1, delay).unwrap();
    };
    // The topics are read within seconds; the records and their receipts would take 24 more, and
    // the last may begin after 19.
    slow(&harness, Duration::from_millis(300));
    let all = json!({ "command": "run", "all": true });
    let run = function.result(all.clone()).await;
    slow(&harness, Duration::ZERO);
    let redriven = run["counts"]["redriven"].as_u64().unwrap_or_default();
    let mut left = run["left"].as_u64().unwrap();
    assert!(left > 0 && redriven + left == 40, "{run}");
    assert_eq!((&run["stoppedBy"], &run["errors"]), (&json!("deadline"), &json!(0)), "{run}");
    // On a busy machine the rest may take several runs.
    while left > 0 {
        let next = function.result(all.clone()).await;
        let redriven = next["counts"]["redriven"].as_u64().unwrap_or_default();
        assert!((1..=left).contains(&redriven), "{next}");
        left -= redriven;
        assert_eq!((&next["left"], &next["errors"]), (&json!(left), &json!(0)), "{next}");
    }
    let expected: Vec<_> = (0..40).map(|index| index.to_string()).collect();
    assert_eq!(values(&harness.written().await, CREATED), expected);
    function.stop().await;
}

#[tokio::test]
async fn topics_that_cannot_be_read_before_the_deadline_are_an_error() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, Duration::from_secs(2)).await;
    given_up(&mut harness, 1).await;
    harness.broker.mock().unwrap().broker_round_trip_time(1, Duration::from_millis(900)).unwrap();
    let mut error = function.error(json!({ "command": "list" })).await;
    // The function has a second for its response: on a busy machine the host's limit may pass.
    for _ in 0..4 {
        if error.error_type != "TopicsNotRead" {
            error = function.error(json!({ "command": "list" })).await;
        }
    }
    assert_eq!(error.error_type, "TopicsNotRead");
    assert!(error.error_message.starts_with("deadline exceeded while reading"), "{error:?}");
    function.stop().await;
}

#[tokio::test]
async fn a_response_of_long_texts_stays_below_the_limit_of_lambda() {
    let mut harness = Harness::start().await;
    let function = Function::start(&harness, TIMEOUT).await;
    let long = "\u{1}😀".repeat(200);
    let foreign = |index: usize| record(&"t".repeat(249), 0, index.try_into().unwrap(), &long, "");
    let records: Vec<Value> = (0..1_100).map(foreign).collect();
    // One record in many dead letters is on one page.
    let repeated = records.iter().take(999).chain(std::iter::repeat_n(&records[999], 150));
    let records: Vec<_> = repeated.chain(records.iter().skip(1_000)).cloned().collect();
    for records in records.chunks(100) {
        let mut message = message(records);
        let cause = json!(long.repeat(10));
        message["requestContext"]["condition"] = cause.clone();
        message["requestContext"]["functionArn"] = cause.clone();
        message["responseContext"]["functionError"] = cause;
        harness.dead_letter(0, &bytes(&message)).await;
    }
    harness.skip_own().await;
    let listed = json!({ "command": "list" });
    assert!(function.result_bytes(listed.clone()).await < 6_000_000);
    let listed = function.result(listed).await;
    assert_eq!(listed["deadLetters"].as_array().unwrap().len(), 1_100);
    assert_eq!((&listed["omitted"], &listed["left"]), (&json!(49), &json!(100)));
    let next = function.result(listed["next"].clone()).await;
    assert_eq!(next["deadLetters"].as_array().unwrap().len(), 100);
    let run = json!({ "command": "run", "all": true });
    assert!(function.result_bytes(run.clone()).await < 6_000_000);
    let run = function.result(run).await;
    assert_eq!((&run["counts"]["notRedriven"], &run["omitted"]), (&json!(1_249), &json!(249)));
    function.stop().await;
}
