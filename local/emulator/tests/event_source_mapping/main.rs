//! An event-source mapping delivers every record in order, as MSK's does.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at an error")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use emulator::filter_criteria::FilterCriteria;
use emulator::tap::Tap;
use emulator::template::{Mapping, StartingPosition};
use serde_json::Value;

use harness::{
    DEAD_LETTERS, Harness, PARTITIONS, Reply, fails_on_failing, failures, in_one_partition,
    mapping, success, until,
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
        for item in batch {
            let expected = next.entry(item.partition).or_default();
            assert_eq!(item.offset, *expected);
            *expected += 1;
        }
    }
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 200), (1, 200), (2, 200)]));
}

/// One record for each partition.
fn in_every_partition(texts: &[&str]) -> Vec<(i32, String)> {
    (0..PARTITIONS).zip(texts).map(|(partition, text)| (partition, (*text).to_owned())).collect()
}

#[tokio::test]
async fn an_event_has_the_records_of_several_partitions() {
    let harness = Harness::start(|_| success()).await;
    let full = Mapping { batch_size: 3, window: Duration::from_secs(15), ..mapping() };
    let mapping = harness.map(full).await;
    harness.write(&in_every_partition(&["a", "b", "c"])).await;
    until(|| mapping.counts().snapshot().delivered == 3).await;
    let partitions: Vec<BTreeSet<_>> = harness
        .function
        .batches()
        .iter()
        .map(|batch| batch.iter().map(|item| item.partition).collect())
        .collect();
    assert_eq!(partitions, [BTreeSet::from([0, 1, 2])]);
    mapping.stop().await;
}

#[tokio::test]
async fn a_partition_that_fails_delays_no_other_of_its_batch() {
    let works = Arc::new(AtomicBool::new(false));
    let works_now = Arc::clone(&works);
    let harness = Harness::start(move |items| {
        let failing = items.iter().find(|item| item.partition == 1);
        match failing {
            Some(failing) if !works_now.load(Ordering::Relaxed) => failures(&[failing]),
            _ => success(),
        }
    })
    .await;
    harness.write(&in_every_partition(&["a", "b", "c"])).await;
    let mapping = harness.map(Mapping { maximum_retries: None, ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 2).await;
    harness.write(&in_every_partition(&["d", "e", "f"])).await;
    until(|| mapping.counts().snapshot().delivered == 4).await;
    until(|| mapping.counts().snapshot().redelivered > 1).await;
    assert_eq!(mapping.positions().get(&1).copied().unwrap_or_default(), 0);
    works.store(true, Ordering::Relaxed);
    until(|| mapping.counts().snapshot().delivered == 6).await;
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 2), (1, 2), (2, 2)]));
}

#[tokio::test]
async fn a_record_that_makes_the_function_fail_delays_no_other_partition() {
    let harness = Harness::start(fails_on_failing).await;
    harness.write(&in_every_partition(&["a", "failing", "b"])).await;
    let mapping = harness.map(Mapping { maximum_retries: None, ..mapping() }).await;
    until(|| mapping.counts().snapshot().delivered == 2).await;
    harness.write(&in_every_partition(&["c", "d", "e"])).await;
    until(|| mapping.counts().snapshot().delivered == 4).await;
    assert_eq!(mapping.positions().get(&1).copied().unwrap_or_default(), 0);
    mapping.stop().await;
}

#[tokio::test]
async fn an_event_of_several_partitions_stays_within_the_limit_of_lambda() {
    let harness = Harness::start(|_| success()).await;
    let mapping = harness.map(Mapping { batch_size: 100, ..mapping() }).await;
    mapping.pause();
    let texts: Vec<_> = (0..12).map(|number| (number % PARTITIONS, "x".repeat(900_000))).collect();
    harness.write(&texts).await;
    mapping.resume();
    until(|| mapping.counts().snapshot().delivered == 12).await;
    let batches = harness.function.batches();
    assert!(
        batches.iter().all(|batch| batch.len() <= 5),
        "the function received too large an event"
    );
    assert!(batches.iter().any(|batch| batch.len() > 1));
    mapping.stop().await;
}

#[tokio::test]
async fn a_record_beyond_the_limit_of_lambda_is_given_up_without_a_request() {
    let harness = Harness::start(|_| success()).await;
    let texts = ["a".to_owned(), "x".repeat(4_800_000), "b".to_owned()];
    let records: Vec<_> = texts.into_iter().map(|text| (0, text)).collect();
    let mapping = harness.map(mapping()).await;
    harness.write_with(&[("message.max.bytes", "6000000")], &records).await;
    until(|| mapping.counts().snapshot().delivered == 2).await;
    until(|| mapping.counts().snapshot().dead_lettered == 1).await;
    assert_eq!(harness.function.texts(), ["a", "b"]);
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 3)]));
}

#[tokio::test]
async fn a_partition_goes_on_after_the_broker_has_dropped_unread_records() {
    let harness = Harness::start(|_| success()).await;
    let mapping = harness.map(mapping()).await;
    harness.write(&in_one_partition(&["first"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    mapping.pause();
    let texts: Vec<_> =
        (0..40).map(|number| (0, format!("{}{number:03}", "x".repeat(300_000)))).collect();
    // One by one, so that the broker can drop each by itself.
    for text in texts {
        harness.write(&[text]).await;
    }
    mapping.resume();
    harness.write(&in_one_partition(&["last"])).await;
    until(|| harness.function.texts().last().is_some_and(|text| text == "last")).await;
    assert!(harness.function.texts().len() < 42, "the broker has dropped nothing");
    assert!(mapping.unreadable().is_empty());
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 42)]));
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
    let harness = Harness::start(fails_on_failing).await;
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

    let letter = tokio::time::timeout(Duration::from_secs(60), tap.next()).await;
    let letter = letter.expect("a dead letter").unwrap();
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
        maximum_record_age: Some(Duration::from_secs(3)),
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
    let committed = BTreeMap::from([(0, 1)]);
    harness.until_committed(&committed).await;
    mapping.pause();
    assert!(mapping.is_paused());
    harness.write(&in_one_partition(&["b", "c"])).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(harness.function.texts(), ["a"]);
    assert_eq!(mapping.positions()[&0], 1);
    assert_eq!(harness.committed().await, committed);
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
async fn a_window_gathers_the_records_of_all_partitions() {
    let harness = Harness::start(|_| success()).await;
    // The batch ends by being full.
    let windowed = Mapping { batch_size: 3, window: Duration::from_secs(15), ..mapping() };
    let mapping = harness.map(windowed).await;
    for (partition, text) in [(0, "a"), (1, "b"), (0, "c")] {
        harness.write(&[(partition, text.to_owned())]).await;
    }
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(harness.function.batches().len(), 1);
    assert_eq!(harness.function.texts(), ["a", "c", "b"]);
    mapping.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_not_full_is_delivered_when_its_window_ends() {
    let harness = Harness::start(|_| success()).await;
    let window = Duration::from_secs(1);
    let mapping = harness.map(Mapping { window, ..mapping() }).await;
    let began = Instant::now();
    harness.write(&in_one_partition(&["a"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    assert!(began.elapsed() >= window, "the window is not over");
    mapping.stop().await;
}

#[tokio::test]
async fn records_that_no_filter_matches_are_finished_without_an_invocation() {
    let harness = Harness::start(|_| success()).await;
    let filters = FilterCriteria::parse(&[r#"{"value":{"kind":["wanted"]}}"#]).unwrap();
    let mapping = harness.map(Mapping { filters, ..mapping() }).await;
    let kinds = ["other", "wanted", "other", "other", "wanted", "other"];
    let texts = kinds.iter().map(|kind| (0, format!(r#"{{"kind":"{kind}"}}"#)));
    harness.write(&texts.collect::<Vec<_>>()).await;
    harness.write(&[(1, "not JSON".to_owned())]).await;
    until(|| mapping.positions() == BTreeMap::from([(0, 6), (1, 1)])).await;
    assert_eq!(harness.function.texts(), [r#"{"kind":"wanted"}"#; 2]);
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 6), (1, 1)]));
}

#[tokio::test]
async fn a_broker_that_goes_away_and_comes_back_costs_no_record() {
    let harness = Harness::start(|_| success()).await;
    let mapping = harness.map(mapping()).await;
    harness.write(&in_one_partition(&["a"])).await;
    until(|| mapping.counts().snapshot().delivered == 1).await;
    let outage = harness.broker.outage().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(outage);
    harness.write(&in_one_partition(&["b", "c"])).await;
    until(|| mapping.counts().snapshot().delivered == 3).await;
    assert_eq!(harness.function.texts(), ["a", "b", "c"]);
    mapping.stop().await;
    assert_eq!(harness.committed().await, BTreeMap::from([(0, 3)]));
}
