//! Publishes events: a batch is handed over whole, then every delivery is waited for.
//!
//! Nothing is left to be sent when a call returns, because Lambda freezes the process then, the
//! client's threads included.

use std::time::Duration;

use contracts::OutgoingEvent;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord},
};

use crate::Retry;

/// How long the client tries to deliver an event before it says that it could not.
///
/// Longer than a broker's failover takes, and with room beside it in a function's 60 seconds.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// An event to publish, and the trace it belongs to.
#[derive(Debug)]
pub struct Publication {
    /// The event.
    pub event: OutgoingEvent,
    /// The W3C trace context of the request, passed on as it came.
    pub traceparent: Option<String>,
}

/// A client of the brokers; one for a process.
#[derive(Clone)]
pub struct Publisher {
    producer: FutureProducer,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Publisher")
    }
}

impl Publisher {
    /// A client of these brokers; connects in the background.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(bootstrap_servers: &str, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            // An event counts as published when every in-sync replica has it, once and in order.
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // Java clients choose partitions this way: whoever joins topics by key relies on it.
            .set("partitioner", "murmur2_random")
            // A batch is in the queue within microseconds; waiting longer would only add delay.
            .set("linger.ms", "1")
            .set("message.timeout.ms", delivery_timeout.as_millis().to_string())
            // A frozen process does not notice that its connections died: find out soon, drop what
            // idled longer than brokers keep it, and come back quickly but not in a storm.
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            .set("connections.max.idle.ms", "180000")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false")
            // Client metrics would be sent to the brokers, and nobody reads them there.
            .set("enable.metrics.push", "false")
            .create()?;
        Ok(Self { producer })
    }

    /// Publishes all of them; the results stand in the same order.
    pub async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), Retry>> {
        let enqueued: Vec<_> = publications.iter().map(|it| self.enqueue(it)).collect();
        futures::future::join_all(enqueued.into_iter().map(|delivery| async {
            let delivered =
                delivery?.await.map_err(|cancelled| Retry::new("publishing", cancelled))?;
            delivered.map(drop).map_err(|(error, _)| Retry::new("publishing", error))
        }))
        .await
    }

    fn enqueue(&self, publication: &Publication) -> Result<DeliveryFuture, Retry> {
        let event = &publication.event;
        let headers = event.headers();
        let trace = publication.traceparent.as_ref().map(|trace| ("traceparent", trace.clone()));
        let headers =
            headers.into_iter().chain(trace).fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(&value) })
            });
        let record = FutureRecord::to(event.event_type.topic().name())
            .key(event.order_id.as_str())
            .payload(&event.body)
            .headers(headers);
        self.producer
            .send_result(record)
            .map_err(|(error, _)| Retry::new("handing an event to the Kafka client", error))
    }
}
