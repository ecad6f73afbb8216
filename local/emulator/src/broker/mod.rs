//! A Kafka broker: embedded in this process, or external.
//!
//! The embedded broker is librdkafka's mock cluster: it speaks Kafka's protocol, starts in
//! milliseconds, keeps everything in memory, and can inject errors.

mod embedded;
mod error;
mod outage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};

use crate::template::Topic;
pub use embedded::{MockLog, without_signals};
pub use error::BrokerError;
pub use outage::{Outage, spawn};

/// Limit for an external broker to respond.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for new topics to have a leader for every partition.
const TOPICS_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Broker {
    bootstrap_servers: String,
    /// Owns the mock cluster or, for an external broker, requests its metadata.
    client: Arc<ThreadedProducer<MockLog>>,
}

impl Broker {
    /// Uses the broker at these addresses, once it responds.
    ///
    /// # Errors
    /// [`BrokerError`] if the addresses are malformed or no broker responds.
    pub async fn outside(servers: &str) -> Result<Self, BrokerError> {
        let client: ThreadedProducer<MockLog> = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set_log_level(RDKafkaLogLevel::Critical)
            .create_with_context(MockLog)
            .map_err(|source| BrokerError::Address { servers: servers.to_owned(), source })?;
        let broker = Self { bootstrap_servers: servers.to_owned(), client: Arc::new(client) };
        broker
            .partitions(None)
            .await
            .map_err(|source| BrokerError::Silent { servers: servers.to_owned(), source })?;
        Ok(broker)
    }

    /// `host:port`, comma-separated.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates the missing topics, and waits until every partition has a leader.
    ///
    /// # Errors
    /// [`BrokerError`] names the topic that is not usable.
    pub async fn create_topics(&self, topics: &[Topic]) -> Result<(), BrokerError> {
        if self.mock().is_some() {
            return self.create_topics_in_mock(topics);
        }
        self.create_topics_outside(topics).await?;
        self.wait_for_leaders(topics).await
    }

    async fn create_topics_outside(&self, topics: &[Topic]) -> Result<(), BrokerError> {
        let silent =
            |source| BrokerError::Silent { servers: self.bootstrap_servers.clone(), source };
        let brokers = self.brokers().await.map_err(silent)?;
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set_log_level(RDKafkaLogLevel::Error)
            .create()
            .map_err(silent)?;
        let wanted: Vec<_> = topics
            .iter()
            .map(|topic| {
                // A replication factor above the number of brokers is an error in Kafka.
                let copies = topic.replication_factor.min(brokers);
                let copies = TopicReplication::Fixed(copies);
                let new = NewTopic::new(&topic.name, topic.partitions, copies);
                topic.configs.iter().fold(new, |new, (name, value)| new.set(name, value))
            })
            .collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(TOPICS_TIMEOUT))
            .request_timeout(Some(TOPICS_TIMEOUT));
        for result in admin.create_topics(&wanted, &options).await.map_err(silent)? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let source = KafkaError::AdminOp(code);
                    return Err(BrokerError::Topic { topic, source });
                }
            }
        }
        Ok(())
    }

    async fn wait_for_leaders(&self, topics: &[Topic]) -> Result<(), BrokerError> {
        let deadline = tokio::time::Instant::now() + TOPICS_TIMEOUT;
        for topic in topics {
            loop {
                // Errors are transient while the topic is created; the deadline limits the wait.
                let partitions = self.partitions(Some(&topic.name)).await.unwrap_or_default();
                if partitions.get(&topic.name).is_some_and(|partitions| !partitions.is_empty()) {
                    break;
                }
                if tokio::time::Instant::now() > deadline {
                    return Err(BrokerError::Leaderless {
                        servers: self.bootstrap_servers.clone(),
                        topic: topic.name.clone(),
                    });
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// The partitions of one topic or of all. The list of a topic is empty while a partition has no
    /// leader.
    ///
    /// # Errors
    /// [`KafkaError`] if the broker does not respond.
    pub async fn partitions(
        &self,
        topic: Option<&str>,
    ) -> Result<BTreeMap<String, Vec<i32>>, KafkaError> {
        let client = Arc::clone(&self.client);
        let topic = topic.map(ToOwned::to_owned);
        let fetched = tokio::task::spawn_blocking(move || {
            let metadata = client.client().fetch_metadata(topic.as_deref(), METADATA_TIMEOUT)?;
            Ok(metadata.topics().iter().map(partitions_of).collect())
        });
        fetched.await.unwrap_or(Err(KafkaError::Canceled))
    }

    async fn brokers(&self) -> Result<i32, KafkaError> {
        let client = Arc::clone(&self.client);
        let fetched = tokio::task::spawn_blocking(move || {
            let metadata = client.client().fetch_metadata(None, METADATA_TIMEOUT)?;
            Ok(i32::try_from(metadata.brokers().len()).unwrap_or(1).max(1))
        });
        fetched.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

fn partitions_of(topic: &rdkafka::metadata::MetadataTopic) -> (String, Vec<i32>) {
    let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
    let partitions = topic.partitions().iter().map(|partition| partition.id());
    (topic.name().to_owned(), if led { partitions.collect() } else { Vec::new() })
}
