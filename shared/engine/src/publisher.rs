//! A stored event as a Kafka record with its headers.

use contracts::{StoredEvent, Topic, TopicNames, TraceContext};
use kafka::{Delivery, OutgoingRecord, ProduceError, Producer};

use crate::{
    TransientError,
    failpoint::{Point, reach},
};

/// Publishes stored events; one per process.
#[derive(Debug, Clone)]
pub struct Publisher {
    producer: Producer,
    topics: TopicNames,
}

impl Publisher {
    #[must_use]
    pub fn new(producer: Producer) -> Self {
        Self { producer, topics: TopicNames::default() }
    }

    /// For a cluster with the topics of several stacks.
    #[must_use]
    pub fn with_topics(self, topics: TopicNames) -> Self {
        Self { topics, ..self }
    }

    /// The topic with this name on the cluster.
    pub(crate) fn topic(&self, name: &str) -> Option<Topic> {
        self.topics.topic(name)
    }

    pub(crate) async fn connect(&self, topics: &[Topic]) -> Result<(), TransientError> {
        let names: Vec<_> = topics.iter().map(|topic| self.topics.name(*topic)).collect();
        let connected = self.producer.connect(&names).await;
        connected.map_err(|error| TransientError::new("connect to the brokers", error))
    }

    /// Enqueues a dead letter, with the key of its record.
    pub(crate) fn give_up(
        &self,
        key: Option<&[u8]>,
        letter: &str,
    ) -> Result<Delivery, ProduceError> {
        self.producer.send(OutgoingRecord {
            topic: &self.topics.dead_letters(),
            partition: None,
            key,
            value: Some(letter.as_bytes()),
            headers: &[],
        })
    }

    /// Enqueues the event of the row with this key.
    pub(crate) fn publish(
        &self,
        row_key: &str,
        event: &StoredEvent,
        trace: Option<&TraceContext>,
    ) -> Result<Delivery, ProduceError> {
        let headers = event.headers(row_key);
        let mut fields: Vec<(&str, Option<&[u8]>)> =
            headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        let trace = trace.into_iter().flat_map(TraceContext::headers);
        fields.extend(trace.map(|(name, value)| (name, Some(value.as_bytes()))));
        reach(Point::BeforeEnqueue);
        let enqueued = self.producer.send(OutgoingRecord {
            topic: &self.topics.name(event.event_type.topic()),
            partition: None,
            key: Some(event.order_id.as_str().as_bytes()),
            value: Some(event.body.as_bytes()),
            headers: &fields,
        });
        reach(Point::AfterEnqueue);
        enqueued
    }
}
