//! Publishes events: a batch is handed over whole, then every delivery is waited for.
//!
//! Nothing is left to be sent when a call returns, because Lambda freezes the process then, the
//! client's threads included.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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

/// Publishes to the brokers; one for a process.
#[derive(Debug, Clone)]
pub struct Publisher {
    brokers: Brokers,
    delivery_timeout: Duration,
    /// Replaced where it delivers no more: a process lives longer than what troubles its client.
    client: Arc<Mutex<Arc<Client>>>,
}

struct Client {
    producer: FutureProducer<Context>,
    context: Context,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Client")
    }
}

impl Publisher {
    /// A client of these brokers; connects in the background.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(brokers: &Brokers, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let client = Arc::new(Client::new(brokers, delivery_timeout)?);
        let client = Arc::new(Mutex::new(client));
        Ok(Self { brokers: brokers.clone(), delivery_timeout, client })
    }

    /// Connects to the brokers that lead these topics.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn connect(&self, topics: &[Topic]) -> Result<(), Retry> {
        let (producer, topics) = (self.client().producer.clone(), topics.to_vec());
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
        let client = self.client();
        let enqueued: Vec<_> = publications.iter().map(|it| client.enqueue(it)).collect();
        let delivered = futures::future::join_all(enqueued.into_iter().map(|delivery| async {
            let delivered =
                delivery?.await.map_err(|cancelled| Retry::new("publishing", cancelled))?;
            delivered.map(drop).map_err(|(error, _)| client.not_delivered(error))
        }))
        .await;
        if delivered.iter().any(Result::is_err) {
            self.replace(client);
        }
        delivered
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new client in the place of one that did not deliver.
    ///
    /// After an outage a client may keep on failing with brokers that others reach: publishing
    /// again through a new one is what ends that, and the bytes are the same.
    fn replace(&self, failed: Arc<Client>) {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, &failed) {
            match Client::new(&self.brokers, self.delivery_timeout) {
                Ok(new) => *current = Arc::new(new),
                Err(error) => tracing::warn!(%error, "the Kafka client is kept, though it failed"),
            }
        }
        drop(current);
        // Ending a client takes a moment, which nobody has to wait for.
        drop(tokio::task::spawn_blocking(move || drop(failed)));
    }
}

impl Client {
    fn new(brokers: &Brokers, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let context = brokers.context();
        let producer = brokers
            .producer_config(delivery_timeout)
            // A batch is in the queue within microseconds; waiting longer would only add delay.
            .set("linger.ms", "1")
            .create_with_context(context.clone())?;
        Ok(Self { producer, context })
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
