//! Why a mapping does not start, and what to do about it.

use rdkafka::error::KafkaError;

/// Why a mapping does not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "the mapping {mapping} cannot read {topic}: see whether the topic is there and the broker is up"
)]
pub struct MappingError {
    /// Logical id of the mapping.
    pub mapping: String,
    /// The topic that it reads.
    pub topic: String,
    /// What the client said.
    #[source]
    pub source: KafkaError,
}
