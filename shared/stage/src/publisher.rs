//! Publishes events: a batch is handed over whole, then every delivery is waited for.
//!
//! Nothing is left to be sent when a call returns, because Lambda freezes the process then, the
//! client's threads included.

use std::time::Duration;

use contracts::{OutgoingEvent, Topic};
use kafka_client::{Brokers, Context};
use rdkafka::{
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
};

use crate::Retry;

/// How long the client tries to deliver an event before it says that it could not.
///
/// Longer than a broker's failover takes, and with room beside it in a function's 60 seconds.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the brokers may take to tell where a topic is.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

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
    producer: FutureProducer<Context>,
    context: Context,
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
    pub fn new(brokers: &Brokers, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let context = brokers.context();
        let producer = brokers
            .producer_config(delivery_timeout)
            // A batch is in the queue within microseconds; waiting longer would only add delay.
            .set("linger.ms", "1")
            .create_with_context(context.clone())?;
        Ok(Self { producer, context })
    }

    /// Connects to the brokers that lead these topics.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn connect(&self, topics: &[Topic]) -> Result<(), Retry> {
        let (producer, topics) = (self.producer.clone(), topics.to_vec());
        let connected = tokio::task::spawn_blocking(move || {
            topics.into_iter().try_for_each(|topic| {
                let metadata = producer.client().fetch_metadata(Some(topic.name()), CONNECT_WITHIN);
                metadata.map(drop)
            })
        });
        connected
            .await
            .map_err(|cut_off| Retry::new("connecting to the brokers", cut_off))?
            .map_err(|error| Retry::new("connecting to the brokers", error))
    }

    /// Publishes all of them; the results stand in the same order.
    pub async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), Retry>> {
        let enqueued: Vec<_> = publications.iter().map(|it| self.enqueue(it)).collect();
        futures::future::join_all(enqueued.into_iter().map(|delivery| async {
            let delivered =
                delivery?.await.map_err(|cancelled| Retry::new("publishing", cancelled))?;
            delivered.map(drop).map_err(|(error, _)| self.not_delivered(error))
        }))
        .await
    }

    /// The trouble, with what the brokers said last: the client itself only says that time is up.
    fn not_delivered(&self, error: KafkaError) -> Retry {
        match self.context.take_trouble() {
            Some(said) => Retry::new(format!("publishing ({said})"), error),
            None => Retry::new("publishing", error),
        }
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
