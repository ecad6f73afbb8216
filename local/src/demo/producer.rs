//! Puts records straight onto `order.created`: what a careless producer would send.

use std::time::Duration;

use contracts::Topic;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use super::seen::Put;

/// How long the broker may take to confirm a record.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30);

/// A producer beside the functions.
pub(crate) struct Producer(FutureProducer);

impl Producer {
    pub(crate) fn new(bootstrap_servers: &str) -> Result<Self, KafkaError> {
        ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            // The functions' own, so that a record goes where the order's other events are.
            .set("partitioner", "murmur2_random")
            .set_log_level(RDKafkaLogLevel::Critical)
            .create()
            .map(Self)
    }

    /// Puts a record, and returns once the broker has it.
    pub(crate) async fn put(&self, put: &Put) -> Result<(), KafkaError> {
        let record = FutureRecord {
            topic: Topic::OrderCreated.name(),
            partition: None,
            payload: put.value.as_ref(),
            key: Some(&put.key),
            timestamp: None,
            headers: None,
        };
        match self.0.send(record, Timeout::After(CONFIRMED_WITHIN)).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error),
        }
    }
}
