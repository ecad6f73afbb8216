//! The backlog: records on the topics that the functions have not yet handled.
//!
//! Topics are checked in the order of the workflow. A handled topic cannot cause new records on
//! later ones, so one pass without a backlog means that the workflow is idle.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::Topic;
use emulator::broker::Broker;
use emulator::template::{Mapping, StartingPosition, Template};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::fixtures::group_offsets::{GroupOffsets, PartitionOffsets};

/// The offset after the last record, by topic and partition.
pub(crate) type Ends = BTreeMap<(String, i32), i64>;

/// Reads the lag of the mappings' consumer groups.
pub(crate) struct Backlog {
    groups: Arc<Vec<GroupOffsets>>,
}

impl Backlog {
    pub(crate) async fn of(template: &Template, broker: &Broker) -> KafkaResult<Self> {
        let partitions = broker.partitions(None).await?;
        let mut mappings: Vec<&Mapping> = template.mappings.iter().collect();
        mappings.sort_by_key(|mapping| Topic::from_name(&mapping.topic));
        let groups = mappings.into_iter().map(|mapping| {
            let partitions = partitions.get(&mapping.topic).cloned().unwrap_or_default();
            GroupOffsets::of(mapping, broker.bootstrap_servers(), partitions)
        });
        Ok(Self { groups: Arc::new(groups.collect::<KafkaResult<_>>()?) })
    }

    /// The number of records that the functions have not handled, and the ends of the topics.
    pub(crate) async fn read(&self) -> KafkaResult<(i64, Ends)> {
        let groups = Arc::clone(&self.groups);
        let result = tokio::task::spawn_blocking(move || {
            let mut ends = Ends::new();
            let mut backlog = 0;
            for group in groups.iter() {
                backlog += unhandled(group, &mut ends)?;
            }
            Ok((backlog, ends))
        });
        result.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

/// The records of a topic that its mapping has not handled. Blocks.
fn unhandled(group: &GroupOffsets, ends: &mut Ends) -> KafkaResult<i64> {
    let mut records = 0_i64;
    for PartitionOffsets { partition, committed, low, high } in group.read()? {
        ends.insert((group.topic.clone(), partition), high);
        let next = committed.unwrap_or(match group.starting_position {
            StartingPosition::TrimHorizon => low,
            StartingPosition::Latest => high,
        });
        records += high.saturating_sub(next).max(0);
    }
    Ok(records)
}
