//! A stored event as a Kafka record with its headers.

use contracts::{StoredEvent, Topic, TraceParent};
use kafka::{Delivery, OutgoingRecord, ProduceError, Producer};

use crate::TransientError;

/// Publishes stored events; one for a process.
#[derive(Debug, Clone)]
pub struct Publisher(Producer);

impl Publisher {
    /// Publishes through this producer.
    #[must_use]
    pub const fn new(producer: Producer) -> Self {
        Self(producer)
    }

    pub(crate) async fn connect(&self, topics: &[Topic]) -> Result<(), TransientError> {
        let topics: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
        let connected = self.0.connect(&topics).await;
        connected.map_err(|error| TransientError::new("connect to the brokers", error))
    }

    /// Enqueues the event of the row with this key.
    pub(crate) fn publish(
        &self,
        row_key: &str,
        event: &StoredEvent,
        trace_parent: Option<&TraceParent>,
    ) -> Result<Delivery, ProduceError> {
        let headers = event.headers(row_key);
        let mut fields: Vec<(&str, Option<&[u8]>)> =
            headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        fields.extend(trace_parent.map(|it| ("traceparent", Some(it.as_str().as_bytes()))));
        self.0.send(OutgoingRecord {
            topic: event.event_type.topic().name(),
            partition: None,
            key: Some(event.order_id.as_str().as_bytes()),
            value: Some(event.body.as_bytes()),
            headers: &fields,
        })
    }
}
