//! How far is everything: what lies on each topic, and what do the stages that read it do?

use std::collections::BTreeMap;

use local::event_source_mapping::MappingHandle;
use local::tap::{PartitionBounds, TapRecord};
use local::template::{Mapping, Template};
use serde::Serialize;

/// The topics in the order of the template, and the mappings that read them.
pub(super) struct Pipeline {
    intake: Option<String>,
    topics: Vec<(String, BTreeMap<i32, Held>)>,
    mappings: Vec<MappingHandle>,
}

/// What a partition holds: everything from its first offset up to its end.
#[derive(Debug, Clone, Copy)]
struct Held {
    first: i64,
    end: i64,
}

/// The pipeline at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PipelineView {
    /// The function that takes orders in.
    intake: Option<String>,
    topics: Vec<TopicView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicView {
    name: String,
    records: i64,
    stages: Vec<StageView>,
}

/// A mapping and what it has done.
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
            let held = of_topic
                .map(|bounds| (bounds.partition, Held { first: bounds.first, end: bounds.end }));
            (topic.name.clone(), held.collect())
        });
        Self {
            intake: template.http_function().map(|function| function.name.binary.clone()),
            topics: topics.collect(),
            mappings,
        }
    }

    /// A record was written.
    pub(super) fn see(&mut self, record: &TapRecord) {
        let topic = self.topics.iter_mut().find(|(name, _)| *name == record.topic);
        if let Some(held) = topic.and_then(|(_, partitions)| partitions.get_mut(&record.partition))
        {
            held.end = held.end.max(record.offset.saturating_add(1));
        }
    }

    /// The mapping with this logical id.
    pub(super) fn mapping(&self, id: &str) -> Option<&MappingHandle> {
        self.mappings.iter().find(|mapping| mapping.declaration().logical_id == id)
    }

    /// How everything is now.
    pub(super) fn view(&self) -> PipelineView {
        let topics = self.topics.iter().map(|(name, partitions)| {
            let readers =
                self.mappings.iter().filter(|mapping| mapping.declaration().topic == *name);
            TopicView {
                name: name.clone(),
                records: partitions.values().map(|held| held.end.saturating_sub(held.first)).sum(),
                stages: readers.map(|mapping| stage(mapping, partitions)).collect(),
            }
        });
        PipelineView { intake: self.intake.clone(), topics: topics.collect() }
    }
}

fn stage(mapping: &MappingHandle, partitions: &BTreeMap<i32, Held>) -> StageView {
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

/// Records that are not done with. A partition without a position is read from its first record.
fn waiting(partitions: &BTreeMap<i32, Held>, positions: &BTreeMap<i32, i64>) -> i64 {
    let left = partitions.iter().map(|(number, held)| {
        let position = positions.get(number).copied().unwrap_or(held.first);
        // The mapping may be further than what has been read along.
        held.end.saturating_sub(position.max(held.first)).max(0)
    });
    left.sum()
}

/// The function's name and, where its mapping has a name of its own, that too.
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
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let template = Template::read(&workspace.join("template.yaml")).unwrap();
        let mut names: Vec<_> = template.mappings.iter().map(name).collect();
        assert!(names.contains(&"validator".to_owned()), "{names:?}");
        assert!(names.contains(&"inventory: reserve".to_owned()), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), template.mappings.len());
    }

    #[test]
    fn what_waits_is_what_is_not_done_with() {
        let partitions = BTreeMap::from([
            (0, Held { first: 2, end: 10 }),
            (1, Held { first: 5, end: 7 }),
            (2, Held { first: 0, end: 4 }),
            (3, Held { first: 3, end: 6 }),
        ]);
        // One in the middle, one never read, one further than the tap, one behind what is kept.
        let positions = BTreeMap::from([(0, 6), (2, 5), (3, 1)]);
        assert_eq!(waiting(&partitions, &positions), 4 + 2 + 3);
    }
}
