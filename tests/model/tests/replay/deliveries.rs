//! The records that the mappings have finished.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::{Duration, Instant},
};

use contracts::{StageName, Topic};
use model::{
    Task,
    replay::{Entry, What},
};
use workflow_tests::{functions::FUNCTIONS, world::World};

use crate::{
    topics::{Topics, lock},
    trace::us,
};

const INTERVAL: Duration = Duration::from_millis(10);

/// The offsets of a mapping that have moved, and when this was seen.
struct Moved {
    at_us: i64,
    mapping: String,
    partition: i32,
    /// From the first to the one after the last.
    offsets: std::ops::Range<i64>,
}

#[derive(Default)]
pub(crate) struct Deliveries(Mutex<Vec<Moved>>);

impl Deliveries {
    /// Looks at the offsets of every mapping. Never ends.
    pub(crate) async fn record(&self, world: &World) {
        let mut known: HashMap<(&str, i32), i64> = HashMap::new();
        loop {
            for (name, mapping) in &world.stack.mappings {
                let positions = mapping.positions();
                // Records have whole milliseconds: what was published in this one is before it.
                let at_us = us(Instant::now()) / 1_000 * 1_000 + 999;
                for (partition, next) in positions {
                    let first = known.insert((name, partition), next).unwrap_or_default();
                    if first < next {
                        let (mapping, offsets) = (name.clone(), first..next);
                        lock(&self.0).push(Moved { at_us, mapping, partition, offsets });
                    }
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    pub(crate) fn entries(&self, tasks: &Tasks, topics: &Topics) -> Vec<Entry> {
        let mut entries = Vec::new();
        for Moved { at_us, mapping, partition, offsets } in &*lock(&self.0) {
            let (topic, stage) = &tasks.0[mapping];
            for offset in offsets.clone() {
                let (order, event) = topics.record_at(topic, *partition, offset);
                let task = Task::of(*stage, event);
                let (from, to) = (*at_us, *at_us);
                entries.extend(task.map(|it| Entry { from, to, order, what: What::Done(it) }));
            }
        }
        entries
    }
}

/// The topic and the stage of each mapping.
pub(crate) struct Tasks(BTreeMap<String, (String, StageName)>);

impl Tasks {
    pub(crate) fn of(world: &World) -> Self {
        let of_mapping = world.stack.mappings.iter().filter_map(|(name, mapping)| {
            let declared = mapping.declaration();
            let topic = Topic::ALL.iter().find(|topic| topic.name() == declared.topic)?;
            let function = FUNCTIONS.iter().find(|spec| spec.name == declared.function.binary)?;
            let mut stages = function.stages.iter();
            let stage = stages.find(|stage| stage.spec().consumes_from(*topic))?;
            Some((name.clone(), (declared.topic.clone(), *stage)))
        });
        Self(of_mapping.collect())
    }

    /// Every record is done, and the tap has read it.
    pub(crate) fn are_done(&self, world: &World, topics: &Topics) -> bool {
        world.stack.mappings.iter().all(|(name, mapping)| {
            let positions = mapping.positions();
            let topic = &self.0[name].0;
            positions.iter().all(|(partition, next)| *next == topics.end(topic, *partition))
        })
    }
}
