//! The error of a mapping that does not start.

use rdkafka::error::KafkaError;

#[derive(Debug, thiserror::Error)]
#[error(
    "the mapping {mapping} cannot read {topic}: check that the topic exists and the broker is up"
)]
pub struct MappingError {
    /// Logical id of the mapping.
    pub mapping: String,
    pub topic: String,
    #[source]
    pub source: KafkaError,
}
