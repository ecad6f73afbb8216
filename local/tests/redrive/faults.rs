//! A put-back that ends in the middle: is nothing lost, and does the next one finish it?

use std::process::Stdio;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::rig::{CREATED, DEAD_LETTERS, Rig, values};

/// More than a client asks within its time limits.
const FOR_THE_REST: usize = 10_000;

/// Lets the broker take this many writes, and none after them: it asks to try again.
fn take_only(rig: &Rig, writes: usize) {
    let mut answers = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR; writes];
    answers.resize(writes + FOR_THE_REST, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    rig.broker.mock().unwrap().request_errors(RDKafkaApiKey::Produce, &answers);
}

fn take_everything(rig: &Rig) {
    rig.broker.mock().unwrap().clear_request_errors(RDKafkaApiKey::Produce);
}

#[tokio::test]
async fn a_kill_between_a_record_and_its_receipt_puts_it_back_once_more_and_loses_nothing() {
    let mut rig = Rig::start().await;
    let given_up = rig.given_up(CREATED, 0, "ord-1", "{}").await;
    rig.give_up(0, &[given_up]).await;
    take_only(&rig, 1);
    let mut program = rig.command(&["put-back", "--all"]).spawn().unwrap();
    assert_eq!(rig.next().await.topic, CREATED);
    program.kill().await.unwrap();
    take_everything(&rig);

    let listed = rig.redrive(&["list"]).await;
    assert!(listed.line("order.created/0/0").ends_with("waits"), "{listed:?}");
    for _ in 0..2 {
        assert_eq!(rig.redrive(&["put-back", "--all"]).await.status, 0);
    }
    let written = rig.written().await;
    assert_eq!(values(&written, CREATED), ["{}"], "the second copy, and no third");
    assert_eq!(values(&written, DEAD_LETTERS).len(), 1, "one receipt");
}

#[tokio::test]
async fn a_broker_that_goes_away_in_the_middle_is_told_and_the_next_run_puts_back_the_rest() {
    let mut rig = Rig::start().await;
    let mut records = Vec::new();
    for value in ["0", "1", "2"] {
        records.push(rig.given_up(CREATED, 0, "ord-1", value).await);
    }
    rig.give_up(0, &records).await;
    // One record and its receipt, then silence.
    take_only(&rig, 2);
    let mut command = rig.command(&["put-back", "--all"]);
    let program = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    // The record and its receipt; two topics are read independently of one another.
    let written = [rig.next().await, rig.next().await];
    assert_eq!(values(&written, CREATED), ["0"]);
    rig.broker.mock().unwrap().broker_down(1).unwrap();
    let output = program.wait_with_output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for told in ["1 record put back, 2 records not put back", "the brokers did not answer"] {
        assert!(printed.contains(told), "{told}: {printed}");
    }

    take_everything(&rig);
    rig.broker.mock().unwrap().broker_up(1).unwrap();
    let ended = rig.redrive(&["put-back", "--all"]).await;
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(values(&rig.written().await, CREATED), ["1", "2"], "and 0 not once more");
}
