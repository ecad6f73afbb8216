//! An event-source mapping delivers every record in order, as MSK's does.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at an error")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use emulator::tap::Tap;
use emulator::template::{Mapping, StartingPosition};
use serde_json::Value;

use harness::{
    DEAD_LETTERS, Harness, PARTITIONS, Reply, failures, in_one_partition, mapping, success, until,
};

#[tokio::test]
async fn every_record_arrives_once_and_in_the_order_of_its_partition() {
    let harness = Harness::start(|_| success()).await;
    let texts: Vec<_> = (0..600).map(|number| (number % PARTITIONS, number.to_string())).collect();
    harness.write(&texts[..300]).await;
    let mapping = harness.map(mapping()).await;
    harness.write(&texts[300..]).await;
    until(|| mapping.counts().snapshot().delivered == 600).await;
    let mut next: BTreeMap<i64, i64> = BTreeMap::new();
    for batch in harness.function.batches() {
        assert!(batch.len() <= 10);
        let partitions: BTreeSet<_> = batch.iter().map(|item| item.partition).collect();
        assert_eq!(partitions.len(), 1);
        for item in batch {
            let expected = next.entry(item.partition).or_default();
            assert_eq!(item.offset, *expected);
            *expected += 1;
        }
    }
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 200), (1, 200), (2, 200)]));
}

#[tokio::test]
async fn a_mapping_goes_on_where_the_last_one_stopped() {
    let harness = Harness::start(|_| success()).await;
    harness.write(&in_one_partition(&["a", "b"])).await;
    let first = harness.map(mapping()).await;
    until(|| first.counts().snapshot().delivered == 2).await;
    first.stop().await;
    harness.write(&in_one_partition(&["c"])).await;
    let second = harness.map(mapping()).await;
    until(|| second.counts().snapshot().delivered == 1).await;
    assert_eq!(harness.function.texts(), ["a", "b", "c"]);
    second.stop().await;
    let third = harness.map(mapping()).await;
    assert_eq!(third.positions()[&0], 3);
    third.stop().await;
}

#[tokio::test]
async fn a_partial_response_is_a_checkpoint() {
    let failed_once = Mutex::new(false);
    let harness = Harness::start(move |items| {
        let failing = items.iter().find(|item| item.text == "c");
        match failing {
            Some(failing) if !std::mem::replace(&mut *failed_once.lock().unwrap(), true) => {
                failures(&[failing])
            }
            _ => success(),
        }
    })
    .await;
    harness.write(&in_one_partition(&["a", "b", "c", "d"])).await;
    let mapping = harness.map(mapping()).await;
    until(|| mapping.counts().snapshot().delivered == 4).await;
    let texts = harness.function.texts();
    assert_eq!(texts.iter().filter(|text| *text == "a" || *text == "b").count(), 2);
    assert_eq!(texts[texts.len() - 2..], ["c", "d"]);
    assert_eq!(mapping.counts().snapshot().dead_lettered, 0);
    mapping.stop().await;
}

#[tokio::test]
async fn halving_isolates_the_failing_record_and_the_dead_letter_topic_takes_it() {
    let harness = Harness::start(|items| {
        if items.iter().any(|item| item.text == "failing") {
            Reply::FunctionError
        } else {
            success()
        }
    })
    .await;
    let mut tap = Tap::start(&harness.broker, &[DEAD_LETTERS]).await.unwrap();
    harness.write(&in_one_partition(&["a", "b", "c", "failing", "d", "e"])).await;
    let mapping = harness.map(mapping()).await;
    until(|| mapping.counts().snapshot().delivered == 5).await;
    assert_eq!(mapping.counts().snapshot().dead_lettered, 1);
    let succeeded: Vec<_> = harness
        .function
        .batches()
        .into_iter()
        .filter(|batch| batch.iter().all(|item| item.text != "failing"))
        .flatten()
        .map(|item| item.text)
        .collect();
    assert_eq!(succeeded, ["a", "b", "c", "d", "e"]);

    let letter = tap.next().await.unwrap();
    assert_eq!(letter.key.as_deref(), Some(&b"failing"[..]));
    let body: Value = serde_json::from_slice(&letter.payload.unwrap()).unwrap();
    assert_eq!(body["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(
        body["payload"]["records"]["source-0"][0]["value"],
        BASE64_STANDARD.encode("failing")
    );
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 6)]));
}

#[tokio::test]
async fn offsets_stay_where_they_are_until_the_function_succeeds() {
    let harness = Harness::start(|_| Reply::FunctionError).await;
    harness.write(&in_one_partition(&["a"])).await;
    let mapping = harness.map(Mapping { maximum_retries: None, ..mapping() }).await;
    until(|| mapping.counts().snapshot().redelivered >= 2).await;
    assert_eq!(harness.committed().await, BTreeMap::new());
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::new());
}

#[tokio::test]
async fn a_throttled_invocation_does_not_count_as_an_attempt() {
    let throttled = Mutex::new(4);
    let harness = Harness::start(move |_| {
        let mut left = throttled.lock().unwrap();
        if *left == 0 {
            return success();
        }
        *left -= 1;
        Reply::Throttled
    })
    .await;
    harness.write(&in_one_partition(&["a"])).await;
    let mapping = harness.map(Mapping { maximum_retries: Some(0), ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    assert_eq!(mapping.counts().snapshot().dead_lettered, 0);
    mapping.stop().await;
}

#[tokio::test]
async fn a_list_of_failures_is_ignored_unless_the_mapping_declares_it() {
    let harness = Harness::start(|items| failures(&items.iter().collect::<Vec<_>>())).await;
    harness.write(&in_one_partition(&["a"])).await;
    let mapping = harness.map(Mapping { reports_item_failures: false, ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    mapping.stop().await;
}

#[tokio::test]
async fn records_of_every_codec_reach_the_function() {
    let harness = Harness::start(|_| success()).await;
    let mapping = harness.map(mapping()).await;
    // Repetitive, because the client leaves incompressible batches uncompressed.
    let texts = ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| codec.repeat(1_000));
    for (codec, text) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().zip(&texts) {
        harness
            .write_with(&[("compression.type", codec)], &in_one_partition(&[text.as_str()]))
            .await;
    }
    until(|| mapping.counts().snapshot().delivered == 5).await;
    assert_eq!(harness.function.texts(), texts);
    mapping.stop().await;
}

#[tokio::test]
async fn a_timestamp_of_a_producer_never_expires_a_record() {
    let harness = Harness::start(|_| success()).await;
    for timestamp_ms in [1, 2, 4_102_444_800_000] {
        harness.write_at(timestamp_ms, "a").await;
    }
    let a_day = Some(Duration::from_hours(24));
    let mapping = harness.map(Mapping { maximum_record_age: a_day, ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(mapping.counts().snapshot().dead_lettered, 0);
    mapping.stop().await;
}

#[tokio::test]
async fn a_record_that_fails_for_longer_than_its_age_limit_is_given_up() {
    let harness = Harness::start(|_| Reply::FunctionError).await;
    harness.write_at(1, "a").await;
    let limits = Mapping {
        maximum_record_age: Some(Duration::from_millis(500)),
        maximum_retries: None,
        ..mapping()
    };
    let mapping = harness.map(limits).await;
    until(|| mapping.counts().snapshot().dead_lettered == 1).await;
    assert!(mapping.counts().snapshot().invocations > 1);
    mapping.stop().await;
}

#[tokio::test]
async fn a_paused_mapping_invokes_nothing_and_then_goes_on_where_it_stopped() {
    let harness = Harness::start(|_| success()).await;
    let mapping = harness.map(mapping()).await;
    harness.write(&in_one_partition(&["a"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    mapping.pause();
    assert!(mapping.is_paused());
    harness.write(&in_one_partition(&["b", "c"])).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(harness.function.texts(), ["a"]);
    assert_eq!(mapping.positions()[&0], 1);
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 1)]));
    mapping.resume();
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(harness.function.texts(), ["a", "b", "c"]);
    assert_eq!(mapping.positions()[&0], 3);
    mapping.stop().await;
}

#[tokio::test]
async fn a_batch_that_fails_is_being_retried_until_it_succeeds() {
    let works = Arc::new(Mutex::new(false));
    let works_now = Arc::clone(&works);
    let harness =
        Harness::start(
            move |_| if *works_now.lock().unwrap() { success() } else { Reply::Throttled },
        )
        .await;
    harness.write(&in_one_partition(&["a", "b"])).await;
    let mapping = harness.map(mapping()).await;
    until(|| mapping.counts().snapshot().retrying > 0).await;
    assert_eq!(mapping.counts().snapshot().delivered, 0);
    *works.lock().unwrap() = true;
    until(|| mapping.counts().snapshot().delivered == 2).await;
    until(|| mapping.counts().snapshot().retrying == 0).await;
    mapping.stop().await;
}

#[tokio::test]
async fn latest_reads_only_what_is_written_from_now_on() {
    let harness = Harness::start(|_| success()).await;
    harness.write(&in_one_partition(&["old"])).await;
    let latest = Mapping { starting_position: StartingPosition::Latest, ..mapping() };
    let mapping = harness.map(latest).await;
    harness.write(&in_one_partition(&["new"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    assert_eq!(harness.function.texts(), ["new"]);
    mapping.stop().await;
}

#[tokio::test]
async fn a_window_gathers_a_batch() {
    let harness = Harness::start(|_| success()).await;
    let windowed = Mapping { window: Duration::from_secs(2), ..mapping() };
    let mapping = harness.map(windowed).await;
    for text in ["a", "b", "c"] {
        harness.write(&in_one_partition(&[text])).await;
    }
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(harness.function.batches().len(), 1);
    mapping.stop().await;
}

#[tokio::test]
async fn a_broker_that_goes_away_and_comes_back_costs_no_record() {
    let harness = Harness::start(|_| success()).await;
    let mapping = harness.map(mapping()).await;
    harness.write(&in_one_partition(&["a"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    harness.broker.mock().unwrap().broker_down(1).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    harness.broker.mock().unwrap().broker_up(1).unwrap();
    harness.write(&in_one_partition(&["b", "c"])).await;
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(harness.function.texts(), ["a", "b", "c"]);
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 3)]));
}
