//! Three embedded brokers that count the requests they receive.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use contracts::Topic;
use emulator::broker::without_signals;
use kafka::Brokers;
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::Consumer,
    message::{DeliveryResult, Headers},
    mocking::MockCluster,
    producer::{Producer, ProducerContext, ThreadedProducer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

pub(crate) const BROKERS: i32 = 3;
const PARTITIONS: i32 = 3;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A record on the topic: key, value, headers.
pub(crate) type Published = (Vec<u8>, Vec<u8>, Vec<(String, Vec<u8>)>);

#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<BTreeMap<String, usize>>>);

impl ClientContext for Requests {
    fn log(&self, _: RDKafkaLogLevel, fac: &str, message: &str) {
        let received = message.split_once(": Received ").and_then(|it| it.1.split_once("Request"));
        if let Some((name, _)) = received.filter(|_| fac == "MOCK") {
            *self.0.lock().unwrap().entry(name.to_owned()).or_default() += 1;
        }
    }
}

impl ProducerContext for Requests {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

pub(crate) struct Cluster {
    /// Owns the brokers; its thread reads their log.
    client: ThreadedProducer<Requests>,
    requests: Requests,
    pub(crate) servers: String,
}

impl Cluster {
    pub(crate) fn start(topic: Topic) -> Self {
        let requests = Requests::default();
        let start = || {
            ClientConfig::new()
                .set("test.mock.num.brokers", BROKERS.to_string())
                .set("debug", "mock")
                .set_log_level(RDKafkaLogLevel::Debug)
                .create_with_context(requests.clone())
        };
        let client: ThreadedProducer<Requests> =
            without_signals(start).expect("signals are blocked").expect("the brokers start");
        let servers = client.client().mock_cluster().expect("brokers").bootstrap_servers();
        let cluster = Self { client, requests, servers };
        cluster.mock().create_topic(topic.name(), PARTITIONS, BROKERS).expect("a topic");
        for partition in 0..PARTITIONS {
            cluster.lead(topic, partition, partition + 1);
        }
        cluster
    }

    pub(crate) fn mock(&self) -> MockCluster<'_, Requests> {
        self.client.client().mock_cluster().expect("brokers")
    }

    pub(crate) fn lead(&self, topic: Topic, partition: i32, broker: i32) {
        self.mock().partition_leader(topic.name(), partition, Some(broker)).expect("a leader");
    }

    pub(crate) fn round_trip(&self, time: Duration) {
        self.mock().broker_round_trip_time(-1, time).expect("the time is set");
    }

    pub(crate) fn reject(&self, key: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
        self.mock().request_errors(key, errors);
    }

    /// The requests of a type so far.
    pub(crate) fn requests(&self, key: RDKafkaApiKey) -> usize {
        let requests = self.requests.0.lock().unwrap();
        requests.get(&format!("{key:?}")).copied().unwrap_or_default()
    }

    /// All records of a topic.
    pub(crate) async fn published(&self, topic: Topic) -> Vec<Published> {
        let servers = self.servers.clone();
        let read = tokio::task::spawn_blocking(move || read(&servers, topic.name()));
        read.await.expect("the reader ends")
    }
}

fn read(servers: &str, topic: &str) -> Vec<Published> {
    let consumer = Brokers::plaintext(servers).reader("broker-faults").expect("a consumer");
    let (mut assignment, mut expected) = (TopicPartitionList::new(), 0);
    for partition in 0..PARTITIONS {
        let (first, end) = consumer.fetch_watermarks(topic, partition, TIMEOUT).expect("offsets");
        assignment.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
        expected += end - first;
    }
    consumer.assign(&assignment).expect("the partitions are assigned");
    let (mut records, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
    while i64::try_from(records.len()).unwrap() < expected {
        assert!(Instant::now() < deadline, "{} of {expected} records", records.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            let headers =
                headers.map(|it| (it.key.to_owned(), it.value.unwrap_or_default().to_vec()));
            let bytes = |part: Option<&[u8]>| part.unwrap_or_default().to_vec();
            records.push((bytes(message.key()), bytes(message.payload()), headers.collect()));
        }
    }
    records
}
