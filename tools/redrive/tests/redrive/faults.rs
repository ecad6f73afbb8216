//! A redrive that is interrupted loses nothing, and the next one completes it.

use std::process::Stdio;

use emulator::broker;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::harness::{CREATED, DEAD_LETTERS, Harness, values};

/// More requests than a client sends within its timeouts.
const REMAINING_REQUESTS: usize = 10_000;

/// Lets the broker accept this many writes, and reject all further ones as retryable.
fn accept_only(harness: &Harness, writes: usize) {
    let mut responses = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR; writes];
    responses
        .resize(writes + REMAINING_REQUESTS, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    harness.broker.mock().unwrap().request_errors(RDKafkaApiKey::Produce, &responses);
}

fn accept_all(harness: &Harness) {
    harness.broker.mock().unwrap().clear_request_errors(RDKafkaApiKey::Produce);
}

#[tokio::test]
async fn a_kill_between_record_and_receipt_redrives_the_record_once_more() {
    let mut harness = Harness::start().await;
    let given_up = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    harness.give_up(0, &[given_up]).await;
    accept_only(&harness, 1);
    let mut command = harness.command(&["run", "--all"]);
    let mut program = broker::spawn(|| command.spawn()).unwrap();
    assert_eq!(harness.next().await.topic, CREATED);
    program.kill().await.unwrap();
    accept_all(&harness);

    let listed = harness.redrive(&["list"]).await;
    assert!(listed.line("order.created/0/0").ends_with("pending"), "{listed:?}");
    for _ in 0..2 {
        assert_eq!(harness.redrive(&["run", "--all"]).await.status, 0);
    }
    let written = harness.written().await;
    assert_eq!(values(&written, CREATED), ["{}"], "the second copy, and no third");
    assert_eq!(values(&written, DEAD_LETTERS).len(), 1, "one receipt");
}

#[tokio::test]
async fn a_lost_broker_is_reported_and_the_next_run_redrives_the_rest() {
    let mut harness = Harness::start().await;
    let mut records = Vec::new();
    for value in ["0", "1", "2"] {
        records.push(harness.given_up(CREATED, 0, "ord-1", value).await);
    }
    harness.give_up(0, &records).await;
    // One record and its receipt, then no response.
    accept_only(&harness, 2);
    let mut command = harness.command(&["run", "--all"]);
    command.stdout(Stdio::piped()).kill_on_drop(true);
    let program = broker::spawn(|| command.spawn()).unwrap();
    // The record and its receipt, in either order: the topics are read independently.
    let written = [harness.next().await, harness.next().await];
    assert_eq!(values(&written, CREATED), ["0"]);
    let outage = harness.broker.outage().unwrap();
    let output = program.wait_with_output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for expected in ["1 record redriven, 2 records not redriven", "the brokers did not respond"] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }

    accept_all(&harness);
    drop(outage);
    let ended = harness.redrive(&["run", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(values(&harness.written().await, CREATED), ["1", "2"], "0 is not published again");
}
