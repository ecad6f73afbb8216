//! Copies of every record on all partitions of its topic, so that several processes of each function
//! have the same order at the same time.

use std::collections::BTreeSet;

use emulator::{
    broker::Broker,
    tap::{Tap, TapRecord},
};
use kafka::{Brokers, OutgoingRecord, Producer};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Copies the first record of each event until stopped.
pub(crate) struct Copies(JoinHandle<()>);

impl Copies {
    pub(crate) async fn of(broker: &Broker, topics: &[&str]) -> Self {
        let mut tap = Tap::start(broker, topics).await.expect("the tap opens");
        let partitions = broker.partitions(None).await.expect("the broker responds");
        let brokers = Brokers::plaintext(broker.bootstrap_servers());
        let producer = Producer::new(&brokers, Duration::from_secs(30)).expect("a producer");
        let mut known = BTreeSet::new();
        Self(tokio::spawn(async move {
            while let Some(record) = tap.next().await {
                if known.insert((record.topic.clone(), record.key.clone(), record.payload.clone()))
                {
                    let others = partitions[&record.topic].iter();
                    copy(&producer, &record, others.filter(|it| **it != record.partition)).await;
                }
            }
        }))
    }

    pub(crate) fn stop(self) {
        assert!(!self.0.is_finished(), "copying has failed");
        self.0.abort();
    }
}

async fn copy(producer: &Producer, record: &TapRecord, partitions: impl Iterator<Item = &i32>) {
    let headers: Vec<_> =
        record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    let mut sent = Vec::new();
    for partition in partitions {
        sent.push(producer.send(OutgoingRecord {
            topic: &record.topic,
            partition: Some(*partition),
            key: record.key.as_deref(),
            value: record.payload.as_deref(),
            headers: &headers,
        }));
    }
    for delivery in sent {
        delivery.expect("the copy is sent").delivered().await.expect("the copy is written");
    }
}
