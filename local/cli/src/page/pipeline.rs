//! The pipeline: the records of each topic, and the progress of the stages that read it.

use std::collections::BTreeMap;

use emulator::event_source_mapping::MappingHandle;
use emulator::tap::{PartitionBounds, TapRecord};
use emulator::template::{Mapping, Template};
use serde::Serialize;

/// The topics in the order of the template, and their mappings.
pub(super) struct Pipeline {
    topics: Vec<(String, BTreeMap<i32, OffsetRange>)>,
    mappings: Vec<MappingHandle>,
}

/// The records of a partition: from `first` up to, but not including, `end`.
#[derive(Debug, Clone, Copy)]
struct OffsetRange {
    first: i64,
    end: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PipelineView {
    topics: Vec<TopicView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicView {
    name: String,
    records: i64,
    stages: Vec<StageView>,
}

/// The progress of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageView {
    id: String,
    name: String,
    handled: u64,
    waiting: i64,
    retrying: u64,
    redelivered: u64,
    dead_lettered: u64,
    is_paused: bool,
    unreadable: Vec<UnreadableView>,
}

/// A partition that a mapping cannot read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct UnreadableView {
    partition: i32,
    reason: String,
}

impl Pipeline {
    pub(super) fn new(
        template: &Template,
        mappings: Vec<MappingHandle>,
        bounds: &[PartitionBounds],
    ) -> Self {
        let topics = template.topics.iter().map(|topic| {
            let of_topic = bounds.iter().filter(|bounds| bounds.topic == topic.name);
            let range = of_topic.map(|bounds| {
                (bounds.partition, OffsetRange { first: bounds.first, end: bounds.end })
            });
            (topic.name.clone(), range.collect())
        });
        Self { topics: topics.collect(), mappings }
    }

    pub(super) fn observe(&mut self, record: &TapRecord) {
        let topic = self.topics.iter_mut().find(|(name, _)| *name == record.topic);
        if let Some(range) = topic.and_then(|(_, partitions)| partitions.get_mut(&record.partition))
        {
            range.end = range.end.max(record.offset.saturating_add(1));
        }
    }

    /// Finds a mapping by its logical id.
    pub(super) fn mapping(&self, id: &str) -> Option<&MappingHandle> {
        self.mappings.iter().find(|mapping| mapping.declaration().logical_id == id)
    }

    pub(super) fn view(&self) -> PipelineView {
        let topics = self.topics.iter().map(|(name, partitions)| {
            let readers =
                self.mappings.iter().filter(|mapping| mapping.declaration().topic == *name);
            TopicView {
                name: name.clone(),
                records: partitions
                    .values()
                    .map(|range| range.end.saturating_sub(range.first))
                    .sum(),
                stages: readers.map(|mapping| stage(mapping, partitions)).collect(),
            }
        });
        PipelineView { topics: topics.collect() }
    }
}

fn stage(mapping: &MappingHandle, partitions: &BTreeMap<i32, OffsetRange>) -> StageView {
    let counts = mapping.counts().snapshot();
    let positions = mapping.positions();
    StageView {
        id: mapping.declaration().logical_id.clone(),
        name: name(mapping.declaration()),
        handled: counts.delivered,
        waiting: waiting(partitions, &positions),
        retrying: counts.retrying,
        redelivered: counts.redelivered,
        dead_lettered: counts.dead_lettered,
        is_paused: mapping.is_paused(),
        unreadable: mapping
            .unreadable()
            .into_iter()
            .map(|(partition, reason)| UnreadableView { partition, reason })
            .collect(),
    }
}

/// Records that are not handled. A partition without a position is read from its first record.
fn waiting(partitions: &BTreeMap<i32, OffsetRange>, positions: &BTreeMap<i32, i64>) -> i64 {
    let left = partitions.iter().map(|(number, range)| {
        let position = positions.get(number).copied().unwrap_or(range.first);
        // The mapping may be ahead of the tap.
        range.end.saturating_sub(position.max(range.first)).max(0)
    });
    left.sum()
}

/// The function's name, followed by the mapping's own name if it has one.
fn name(mapping: &Mapping) -> String {
    let function = mapping.function.logical_id.trim_end_matches("Function");
    let own = mapping.logical_id.trim_end_matches("Mapping");
    match own.strip_prefix(function).unwrap_or(own) {
        "" => mapping.function.binary.clone(),
        own => format!("{}: {}", mapping.function.binary, own.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_mapping_of_the_template_has_a_name_of_its_own() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let template = Template::read(&workspace.join("template.yaml")).unwrap();
        let mut names: Vec<_> = template.mappings.iter().map(name).collect();
        assert!(names.contains(&"validator".to_owned()), "{names:?}");
        assert!(names.contains(&"inventory: reserve".to_owned()), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), template.mappings.len());
    }

    #[test]
    fn records_that_are_not_handled_are_waiting() {
        let partitions = BTreeMap::from([
            (0, OffsetRange { first: 2, end: 10 }),
            (1, OffsetRange { first: 5, end: 7 }),
            (2, OffsetRange { first: 0, end: 4 }),
            (3, OffsetRange { first: 3, end: 6 }),
        ]);
        // In the middle, never read, ahead of the tap, before the first kept record.
        let positions = BTreeMap::from([(0, 6), (2, 5), (3, 1)]);
        assert_eq!(waiting(&partitions, &positions), 4 + 2 + 3);
    }
}
