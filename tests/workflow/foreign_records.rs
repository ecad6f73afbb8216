//! Arbitrary records for the consumers of `consumers/`, beyond the published contract.

use std::{path::Path, time::Duration};

use contracts::Topic;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::timeout;
use workflow_tests::world::{World, root};

use crate::{consumer_process::Reader, consumers::completed, world};

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_consumer_survives_any_record() {
    let built = emulator::binaries::build(&root(), &["consumer".to_owned()]).await.unwrap();
    survives_any_record(&[built["consumer"].as_path()]).await;
}

#[cfg(feature = "python-consumer")]
#[tokio::test(flavor = "multi_thread")]
async fn the_python_consumer_survives_any_record() {
    let python =
        std::env::var("CONSUMER_PYTHON").expect("scripts/check-python-consumer runs this test");
    let program = root().join("consumers/python/consume.py");
    survives_any_record(&[Path::new(&python), &program]).await;
}

/// Checks that each record is handled, or skipped with a log line, and that the offset moves on.
async fn survives_any_record(program: &[&Path]) {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let run = uuid::Uuid::new_v4();
    let written = write_foreign_records(&world, &run.to_string()).await;
    let last = format!("ord-{run}");
    world.write_event(&completed(&last), 0).await;

    let mut reader = Reader::start(program, &world, &folder.path().join("handled.sqlite"));
    let lines = reader.lines_until(&last).await;
    let is_handled = |index: usize| {
        let id = format!(r#""{run}/{index}""#);
        lines.iter().any(|line| line.contains(&id))
    };
    let skipped = (0..written.len()).filter(|index| !is_handled(*index)).count();
    let skip_lines = reader.until_skipped(skipped).await;
    for (index, record) in written.iter().enumerate() {
        assert!(is_handled(index) || !record.is_event, "{index}: {skip_lines:?}");
        let place = format!("skipped: {} 0 {} ", Topic::OrderCompleted, record.offset);
        let is_skipped = skip_lines.iter().any(|line| line.starts_with(&place));
        assert_ne!(is_handled(index), is_skipped, "{index}: {skip_lines:?}");
    }
    let last_total = skip_lines.last().and_then(|line| line.rsplit_once("total="));
    assert_eq!(last_total.unwrap().1, skip_lines.len().to_string());
    let digits = format!(r#""{run}/{HUGE_EXPONENT}""#);
    let line = lines.iter().find(|line| line.contains(&digits)).unwrap();
    assert!(line.contains("1e1000000000000000000"), "{line}");

    let behind = written.iter().map(|record| record.offset).max().unwrap();
    let (servers, group) = (world.stack.broker.bootstrap_servers(), &reader.group);
    until_committed(servers, group, behind).await;
    world.stop().await;
}

struct ForeignRecord {
    offset: i64,
    /// It is a valid event and must be handled.
    is_event: bool,
}

/// The index of the event with a number that no decimal type can represent.
const HUGE_EXPONENT: usize = 0;

/// Writes records of all kinds, compressed with zstd. Their `ce_id` is `run` and their index.
async fn write_foreign_records(world: &World, run: &str) -> Vec<ForeignRecord> {
    let event = |payload: &str| {
        let event =
            format!(r#"{{"eventType":"OrderCompleted","orderId":"o","payload":{payload}}}"#);
        event.into_bytes()
    };
    let nested = 100_000;
    let (open, closed) = ("[".repeat(nested), "]".repeat(nested));
    let events = [
        event(r#"{"weight":1e1000000000000000000}"#),
        event(r#"{"weight":-1e-1000000000000000000,"zero":-0.0}"#),
        event("1e400"),
        event(&"9".repeat(10_000)),
        event(r#""a lone surrogate: \ud83d""#),
        event(r#"{"nested":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}"#),
        b"{\n\"eventType\":\"OrderCompleted\",\r\n\"orderId\":\"o\",\"payload\":{}}\n".to_vec(),
    ];
    let others = [
        br#"{"a":"\ud83d"}"#.to_vec(),
        open.clone().into_bytes(),
        format!("{open}{closed}").into_bytes(),
        event(&format!("{open}{closed}")),
        event("Infinity"),
        event("-Infinity"),
        event("NaN"),
        event("01"),
        b"\xff\xfe".to_vec(),
        [&event("\"")[..], b"\xff\"}"].concat(),
        b"".to_vec(),
        b"null".to_vec(),
        b"7".to_vec(),
        b"[]".to_vec(),
        br#""text""#.to_vec(),
        b"{}".to_vec(),
        br#"{"eventType":"OrderCompleted"}"#.to_vec(),
        br#"{"eventType":null,"orderId":"o","payload":{}}"#.to_vec(),
        br#"{"eventType":"OrderCompleted","orderId":[1],"payload":{}}"#.to_vec(),
    ];
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", world.stack.broker.bootstrap_servers())
        .set("compression.type", "zstd")
        .create()
        .unwrap();
    let mut written = Vec::new();
    let events = events.into_iter().map(|value| (true, Some(value)));
    let others = others.into_iter().map(|value| (false, Some(value)));
    for (index, (is_event, value)) in events.chain(others).chain([(false, None)]).enumerate() {
        let id = format!("{run}/{index}").into_bytes();
        let offset =
            write_foreign(&producer, &[("ce_id", Some(id.as_slice()))], value.as_deref()).await;
        written.push(ForeignRecord { offset, is_event });
    }
    // Valid events without a valid `ce_id`.
    let event = event("{}");
    let without = write_foreign(&producer, &[], Some(&event)).await;
    let null = write_foreign(&producer, &[("ce_id", None)], Some(&event)).await;
    let not_utf8 = write_foreign(&producer, &[("ce_id", Some(&b"\xff"[..]))], Some(&event)).await;
    let offsets = [without, null, not_utf8].into_iter();
    written.extend(offsets.map(|offset| ForeignRecord { offset, is_event: false }));
    written
}

async fn write_foreign(
    producer: &FutureProducer,
    headers: &[(&str, Option<&[u8]>)],
    value: Option<&[u8]>,
) -> i64 {
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: *value })
    });
    let mut record: FutureRecord<'_, str, [u8]> =
        FutureRecord::to(Topic::OrderCompleted.name()).partition(0).key("foreign").headers(headers);
    record.payload = value;
    producer.send(record, Duration::from_secs(30)).await.unwrap().offset
}

/// Waits until the group has committed an offset above this one.
async fn until_committed(servers: &str, group: &str, offset: i64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut partition = TopicPartitionList::new();
    partition.add_partition(Topic::OrderCompleted.name(), 0);
    let committed = async {
        loop {
            let committed = consumer.committed_offsets(partition.clone(), Duration::from_secs(10));
            if let Offset::Offset(committed) = committed.unwrap().elements()[0].offset()
                && committed > offset
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), committed).await.unwrap();
}
