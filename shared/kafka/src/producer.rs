//! The producer: enqueue at once, await the delivery later.
//!
//! A client that failed to deliver is replaced: after an outage, a client may keep failing although
//! a new one can publish the same bytes.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::try_join_all;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _},
};

use crate::{Brokers, Context};

/// The limit for each metadata request while connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A record to publish.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRecord<'a> {
    pub topic: &'a str,
    /// `None`: the key chooses the partition.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A record that was not published.
#[derive(Debug, thiserror::Error)]
#[error("publish{}", last_error.as_ref().map(|it| format!(" ({it})")).unwrap_or_default())]
pub struct ProduceError {
    /// The last error of the connection: the client itself only reports a timeout.
    last_error: Option<String>,
    #[source]
    source: KafkaError,
}

impl ProduceError {
    /// The code of the brokers' or the client's error.
    #[must_use]
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        self.source.rdkafka_error_code()
    }
}

/// Publishes to the brokers; one per process.
#[derive(Clone)]
pub struct Producer {
    brokers: Brokers,
    delivery_timeout: Duration,
    client: Arc<Mutex<Arc<Client>>>,
}

struct Client {
    producer: FutureProducer<Context>,
    context: Context,
}

/// A record in flight.
#[must_use = "a record counts as published once its delivery has been awaited"]
pub struct Delivery {
    producer: Producer,
    client: Arc<Client>,
    future: DeliveryFuture,
}

impl fmt::Debug for Producer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Producer").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Delivery")
    }
}

impl Producer {
    /// Creates a client, which connects in the background.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub fn new(brokers: &Brokers, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let client = Arc::new(Mutex::new(Arc::new(Client::new(brokers, delivery_timeout)?)));
        Ok(Self { brokers: brokers.clone(), delivery_timeout, client })
    }

    /// Connects to every broker that leads a partition of these topics.
    ///
    /// # Errors
    /// If one of them does not respond.
    pub async fn connect(&self, topics: &[impl AsRef<str>]) -> Result<(), KafkaError> {
        let client = self.client();
        let leaders = Arc::clone(&client);
        let topics: Vec<_> = topics.iter().map(|topic| topic.as_ref().to_owned()).collect();
        let leaders = blocking(move || leaders.one_partition_of_each_leader(topics)).await?;
        try_join_all(leaders.into_values().map(|(topic, partition)| {
            let client = Arc::clone(&client);
            // The client connects to a broker once it has a request for it; an offset query is the
            // smallest.
            blocking(move || {
                client.producer.client().fetch_watermarks(&topic, partition, CONNECT_TIMEOUT)
            })
        }))
        .await
        .map(drop)
    }

    /// Enqueues a record.
    ///
    /// # Errors
    /// If the client's queue is full, the record is too large for the topic, or the brokers have
    /// refused the client for good, which is then replaced.
    pub fn send(&self, record: OutgoingRecord<'_>) -> Result<Delivery, ProduceError> {
        let client = self.client();
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in record.headers {
            headers = headers.insert(Header { key, value: *value });
        }
        let mut outgoing: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(record.topic).headers(headers);
        outgoing.partition = record.partition;
        outgoing.key = record.key;
        outgoing.payload = record.value;
        match client.producer.send_result(outgoing) {
            Ok(future) => Ok(Delivery { producer: self.clone(), client, future }),
            Err((source, _)) => {
                let last_error = client.context.take_last_error();
                // Such a client accepts no record any more, so no delivery of it can fail.
                if source.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                    self.replace(client);
                }
                Err(ProduceError { last_error, source })
            }
        }
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces a client that failed to deliver, unless it is already replaced.
    fn replace(&self, failed: Arc<Client>) {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, &failed) {
            match Client::new(&self.brokers, self.delivery_timeout) {
                Ok(new) => *current = Arc::new(new),
                Err(error) => tracing::warn!(%error, "keeping the Kafka client that failed"),
            }
        }
        drop(current);
        // Closing a client takes a moment; no caller waits for it.
        drop(tokio::task::spawn_blocking(move || drop(failed)));
    }
}

impl Delivery {
    /// Waits until the record is delivered.
    ///
    /// # Errors
    /// If it is not delivered within the delivery timeout.
    pub async fn delivered(self) -> Result<(), ProduceError> {
        self.position().await.map(drop)
    }

    /// Waits until the record is delivered; returns its partition and offset.
    ///
    /// # Errors
    /// If it is not delivered within the delivery timeout.
    pub async fn position(self) -> Result<(i32, i64), ProduceError> {
        let error = match self.future.await {
            Ok(Ok(delivery)) => return Ok((delivery.partition, delivery.offset)),
            Ok(Err((error, _))) => error,
            Err(_) => KafkaError::Canceled,
        };
        let last_error = self.client.context.take_last_error();
        self.producer.replace(self.client);
        Err(ProduceError { last_error, source: error })
    }
}

impl Client {
    fn new(brokers: &Brokers, delivery_timeout: Duration) -> Result<Self, KafkaError> {
        let context = brokers.context();
        let config = brokers.producer_config(delivery_timeout);
        Ok(Self { producer: config.create_with_context(context.clone())?, context })
    }

    /// Each broker that leads a partition of these topics, with one such partition.
    fn one_partition_of_each_leader(
        &self,
        topics: Vec<String>,
    ) -> Result<BTreeMap<i32, (String, i32)>, KafkaError> {
        let mut leaders = BTreeMap::new();
        for topic in topics {
            let metadata = self.producer.client().fetch_metadata(Some(&topic), CONNECT_TIMEOUT)?;
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            leaders.extend(partitions.map(|it| (it.leader(), (topic.clone(), it.id()))));
        }
        // -1: the partition has no leader.
        leaders.retain(|leader, _| *leader >= 0);
        Ok(leaders)
    }
}

/// Runs a blocking request of the client on a thread of its own.
async fn blocking<T: Send + 'static>(
    request: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(request).await.unwrap_or(Err(KafkaError::Canceled))
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[tokio::test]
    async fn every_leader_is_connected_to_before_there_is_anything_to_publish() {
        let cluster = MockCluster::new(3).unwrap();
        cluster.create_topic("orders", 3, 1).unwrap();
        for (partition, broker) in [(0, 1), (1, 2), (2, 3)] {
            cluster.partition_leader("orders", partition, Some(broker)).unwrap();
        }
        let brokers = Brokers::plaintext(&cluster.bootstrap_servers());
        let producer = || Producer::new(&brokers, Duration::from_secs(15)).unwrap();
        let mut attempts = 0;
        while let Err(error) = producer().connect(&["orders"]).await {
            attempts += 1;
            assert!(attempts < 3, "{error}");
        }
        for broker in 1..=3 {
            cluster.broker_down(broker).unwrap();
            let missed = producer().connect(&["orders"]).await;
            assert!(missed.is_err(), "broker {broker} is down, but connecting succeeded");
            cluster.broker_up(broker).unwrap();
        }
    }
}
