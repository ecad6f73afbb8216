//! Reads all records of a broker.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
    message::{BorrowedMessage, Headers, Message},
};

use super::delivery::Record;

const TIMEOUT: Duration = Duration::from_secs(60);

pub async fn published(bootstrap_servers: &str) -> Vec<Record> {
    let servers = bootstrap_servers.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&servers));
    read.await.expect("the reader ends").expect("the topics are read")
}

fn read(servers: &str) -> KafkaResult<Vec<Record>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "conformance")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.wait.max.ms", "10")
        .set_log_level(RDKafkaLogLevel::Critical)
        .create()?;
    let (mut assignment, mut expected) = (TopicPartitionList::new(), 0);
    for topic in consumer.fetch_metadata(None, TIMEOUT)?.topics() {
        for partition in topic.partitions() {
            let (name, partition) = (topic.name(), partition.id());
            let (first, end) = consumer.fetch_watermarks(name, partition, TIMEOUT)?;
            if first < end {
                assignment.add_partition_offset(name, partition, Offset::Offset(first))?;
                expected += end - first;
            }
        }
    }
    consumer.assign(&assignment)?;
    let (mut records, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
    for _ in 0..expected {
        loop {
            assert!(Instant::now() < deadline, "{} of {expected} records", records.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                records.push(record(&message));
                break;
            }
        }
    }
    Ok(records)
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        topic: message.topic().to_owned(),
        key: message.key().map(ToOwned::to_owned),
        value: message.payload().unwrap_or_default().to_owned(),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(ToOwned::to_owned)))
            .collect(),
    }
}
