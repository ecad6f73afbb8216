//! A stored event as a Kafka record with its headers.

use contracts::{StoredEvent, Topic, TraceContext};
use kafka::{Delivery, OutgoingRecord, ProduceError, Producer};

use crate::TransientError;

/// Publishes stored events; one per process.
#[derive(Debug, Clone)]
pub struct Publisher(Producer);

impl Publisher {
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
        trace: Option<&TraceContext>,
    ) -> Result<Delivery, ProduceError> {
        let headers = event.headers(row_key);
        let mut fields: Vec<(&str, Option<&[u8]>)> =
            headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        let trace = trace.into_iter().flat_map(TraceContext::headers);
        fields.extend(trace.map(|(name, value)| (name, Some(value.as_bytes()))));
        self.0.send(OutgoingRecord {
            topic: event.event_type.topic().name(),
            partition: None,
            key: Some(event.order_id.as_str().as_bytes()),
            value: Some(event.body.as_bytes()),
            headers: &fields,
        })
    }
}
