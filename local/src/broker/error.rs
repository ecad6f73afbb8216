//! Why a broker cannot be used, and what to do about it.

use rdkafka::error::KafkaError;

/// Why there is no usable broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The embedded broker did not start.
    #[error("the embedded broker did not start")]
    Embedded(#[source] KafkaError),
    /// The addresses are not usable.
    #[error("{servers} is no list of brokers: give HOST:PORT, several with commas between them")]
    Address {
        /// What was given.
        servers: String,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// Nothing answers there.
    #[error(
        "no Kafka broker answers at {servers}: start it, or leave out --kafka to use the embedded one"
    )]
    Silent {
        /// What was given.
        servers: String,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// A topic could not be created.
    #[error("the topic {topic} could not be created: create it by hand, or allow this client to")]
    Topic {
        /// The topic.
        topic: String,
        /// What the broker said.
        #[source]
        source: KafkaError,
    },
    /// The topics have no leaders yet.
    #[error(
        "the broker at {servers} has no leader for each partition of {topic} after 30 s: see its log"
    )]
    Leaderless {
        /// The broker.
        servers: String,
        /// The topic.
        topic: String,
    },
}
