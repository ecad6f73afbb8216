//! Publishes events: a batch is handed over whole, then every delivery is waited for.
//!
//! Nothing is left to be sent when a call returns, because Lambda freezes the process then, the
//! client's threads included.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contracts::{OutgoingEvent, Topic};
use kafka_client::{Brokers, Context};
use rdkafka::{
    error::KafkaError,
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
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

    /// Connects to every broker that leads a partition of these topics.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn connect(&self, topics: &[Topic]) -> Result<(), Retry> {
        let client = self.client();
        let (leaders, topics) = (Arc::clone(&client), topics.to_vec());
        let leaders = blocking(move || leaders.one_partition_of_each_leader(&topics)).await?;
        let greetings = leaders.into_values().map(|(topic, partition)| {
            let client = Arc::clone(&client);
            // The client connects to a broker when there is something to send there, and asking how
            // far a partition goes is the least that there is.
            blocking(move || {
                client.producer.client().fetch_watermarks(topic.name(), partition, CONNECT_WITHIN)
            })
        });
        futures::future::try_join_all(greetings).await.map(drop)
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

    /// Each broker that leads any of these topics' partitions, with one that it leads.
    fn one_partition_of_each_leader(
        &self,
        topics: &[Topic],
    ) -> Result<BTreeMap<i32, (Topic, i32)>, KafkaError> {
        let mut leaders = BTreeMap::new();
        for topic in topics {
            let metadata =
                self.producer.client().fetch_metadata(Some(topic.name()), CONNECT_WITHIN)?;
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            leaders.extend(partitions.map(|it| (it.leader(), (*topic, it.id()))));
        }
        // A partition without a leader has -1 in its place.
        leaders.retain(|leader, _| *leader >= 0);
        Ok(leaders)
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

/// Asks the brokers something on a thread where waiting stops nobody.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, Retry> {
    let answer = tokio::task::spawn_blocking(ask).await;
    answer
        .map_err(|cut_off| Retry::new("connecting to the brokers", cut_off))?
        .map_err(|error| Retry::new("connecting to the brokers", error))
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[tokio::test]
    async fn every_leader_is_connected_to_before_there_is_anything_to_publish() {
        let cluster = MockCluster::new(3).unwrap();
        let topic = Topic::OrderCreated;
        cluster.create_topic(topic.name(), 3, 1).unwrap();
        for (partition, broker) in [(0, 1), (1, 2), (2, 3)] {
            cluster.partition_leader(topic.name(), partition, Some(broker)).unwrap();
        }
        let brokers = Brokers::plaintext(&cluster.bootstrap_servers());
        let publisher = || Publisher::new(&brokers, DELIVERY_TIMEOUT).unwrap();
        publisher().connect(&[topic]).await.unwrap();
        for broker in 1..=3 {
            cluster.broker_down(broker).unwrap();
            let missed = publisher().connect(&[topic]).await;
            assert!(missed.is_err(), "broker {broker} was not missed");
            cluster.broker_up(broker).unwrap();
        }
    }
}
