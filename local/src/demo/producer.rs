//! A producer beside the functions: sends records straight to `order.created`.

use std::time::Duration;

use contracts::Topic;
use kafka::{Brokers, OutgoingRecord, ProduceError};
use rdkafka::error::KafkaError;

use super::order_state::Put;

/// The limit for the broker to confirm a record.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes to `order.created`, onto the partition of the order's other events.
pub(crate) struct Producer(kafka::Producer);

impl Producer {
    pub(crate) fn new(bootstrap_servers: &str) -> Result<Self, KafkaError> {
        kafka::Producer::new(&Brokers::plaintext(bootstrap_servers), DELIVERY_TIMEOUT).map(Self)
    }

    /// Puts a record, and returns once the broker has it.
    pub(crate) async fn put(&self, put: &Put) -> Result<(), ProduceError> {
        let record = OutgoingRecord {
            topic: Topic::OrderCreated.name(),
            partition: None,
            key: Some(&put.key),
            value: put.value.as_deref(),
            headers: &[],
        };
        self.0.send(record)?.delivered().await
    }
}
