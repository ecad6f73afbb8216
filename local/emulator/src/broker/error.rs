//! Errors of the broker.

use rdkafka::error::KafkaError;

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("cannot start the embedded broker")]
    Embedded(#[source] KafkaError),
    #[error("cannot block the signals of the embedded broker's threads")]
    Signals(#[source] nix::Error),
    #[error("{servers} is not a list of brokers: write HOST:PORT,HOST:PORT")]
    Address {
        servers: String,
        #[source]
        source: KafkaError,
    },
    #[error(
        "no Kafka broker responds at {servers}: start it, or omit --kafka to use the embedded one"
    )]
    Silent {
        servers: String,
        #[source]
        source: KafkaError,
    },
    #[error("cannot create the topic {topic}: create it by hand, or allow this client to")]
    Topic {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error(
        "the broker at {servers} has partitions of {topic} without a leader after 30 s: see its log"
    )]
    Leaderless { servers: String, topic: String },
}
