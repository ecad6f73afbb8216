//! The brokers, and the topics of one stack on them.

use contracts::TopicNames;
use kafka::Brokers;

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) brokers: Brokers,
    pub(crate) topics: TopicNames,
}
