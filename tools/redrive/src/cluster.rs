//! The brokers, and the topics of one stack on them.

use contracts::TopicNames;
use kafka::Brokers;

/// The on-failure destination of every mapping in `template.yaml`.
const DEAD_LETTER_TOPIC: &str = "order.dead-letter";

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) brokers: Brokers,
    pub(crate) topics: TopicNames,
}

/// The name of the topic with the dead letters.
pub(crate) fn dead_letters(topics: &TopicNames) -> String {
    format!("{}{DEAD_LETTER_TOPIC}", topics.prefix())
}
