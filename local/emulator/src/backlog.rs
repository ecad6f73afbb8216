//! The records that wait on the embedded broker, and the room for more.
//!
//! The embedded broker keeps 5 MiB of each partition and drops the oldest records beyond, whether
//! they were read or not. A request that is refused with 503 has not been accepted, so no accepted
//! one is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::event_source_mapping::MappingHandle;
use crate::tap::{Tap, TapError, TapRecord};

/// Maximum bytes that wait. Less than a partition keeps, because a record can grow on its way.
const LIMIT: usize = 3 * 1024 * 1024;
/// Kafka's own bytes in a batch of one record.
const RECORD_OVERHEAD: usize = 100;
/// Finished records are subtracted at this interval.
const INTERVAL: Duration = Duration::from_millis(50);
/// A record is counted within this time after the response to its request.
const COUNTED_WITHIN: Duration = Duration::from_millis(250);

/// The records that wait, by topic and partition.
pub(crate) struct Backlog {
    waiting: Arc<Waiting>,
    counter: JoinHandle<()>,
}

#[derive(Default)]
struct Waiting(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    partitions: BTreeMap<(String, i32), Partition>,
    /// Bytes of the requests whose records are not counted yet.
    requests: usize,
}

#[derive(Default)]
struct Partition {
    /// Offset and bytes of each record.
    records: VecDeque<(i64, usize)>,
    bytes: usize,
}

impl Backlog {
    /// Counts the records of the topics that these mappings read, from now on.
    ///
    /// # Errors
    /// [`TapError`] if a topic cannot be read.
    pub(crate) async fn start(
        broker: &Broker,
        mappings: Vec<MappingHandle>,
    ) -> Result<Self, TapError> {
        let topics: BTreeSet<&str> =
            mappings.iter().map(|mapping| mapping.declaration().topic.as_str()).collect();
        let tap = Tap::start(broker, &topics.into_iter().collect::<Vec<_>>()).await?;
        let waiting = Arc::new(Waiting::default());
        let counter = tokio::spawn(count(tap, mappings, Arc::clone(&waiting)));
        Ok(Self { waiting, counter })
    }

    /// Admits a request with a body of these bytes; `None` if its records could have no room. A request
    /// alone is always admitted.
    pub(crate) fn admit(&self, bytes: usize) -> Option<Admitted> {
        let mut counted = self.waiting.counted();
        let before = counted.waiting();
        if before > 0 && before.saturating_add(bytes) > LIMIT {
            return None;
        }
        counted.requests = counted.requests.saturating_add(bytes);
        Some(Admitted { waiting: Arc::clone(&self.waiting), bytes })
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.counter.abort();
    }
}

async fn count(mut tap: Tap, mappings: Vec<MappingHandle>, waiting: Arc<Waiting>) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            record = tap.next() => match record {
                Some(record) => waiting.counted().add(record),
                None => return,
            },
            _ = interval.tick() => waiting.counted().finish(&mappings),
        }
    }
}

impl Waiting {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, record: TapRecord) {
        let headers = record
            .headers
            .iter()
            .map(|(name, value)| name.len().saturating_add(value.as_ref().map_or(0, Vec::len)));
        let content = [&record.key, &record.payload].map(|it| it.as_ref().map_or(0, Vec::len));
        let bytes = content.into_iter().chain(headers).fold(RECORD_OVERHEAD, usize::saturating_add);
        let partition = self.partitions.entry((record.topic, record.partition)).or_default();
        partition.records.push_back((record.offset, bytes));
        partition.bytes = partition.bytes.saturating_add(bytes);
    }

    /// Subtracts the records that all mappings of their topic have finished.
    fn finish(&mut self, mappings: &[MappingHandle]) {
        let positions: Vec<_> =
            mappings.iter().map(|it| (it.declaration().topic.as_str(), it.positions())).collect();
        for ((topic, number), partition) in &mut self.partitions {
            let of_topic = positions.iter().filter(|(name, _)| name == topic);
            let position = |(_, positions): &(_, BTreeMap<i32, i64>)| {
                positions.get(number).copied().unwrap_or_default()
            };
            let next = of_topic.map(position).min().unwrap_or_default();
            while let Some((_, bytes)) =
                partition.records.pop_front_if(|(offset, _)| *offset < next)
            {
                partition.bytes = partition.bytes.saturating_sub(bytes);
            }
        }
    }

    /// Bytes that one partition could have to keep at most: the records of a key pass several topics,
    /// and the fullest partitions may have the same keys.
    fn waiting(&self) -> usize {
        let mut fullest: BTreeMap<&str, usize> = BTreeMap::new();
        for ((topic, _), partition) in &self.partitions {
            let bytes = fullest.entry(topic).or_default();
            *bytes = partition.bytes.max(*bytes);
        }
        fullest.into_values().fold(self.requests, usize::saturating_add)
    }
}

/// The bytes of a request whose records are not counted yet. Dropped with the response, it counts
/// until they are.
pub(crate) struct Admitted {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let (waiting, bytes) = (Arc::clone(&self.waiting), self.bytes);
        tokio::spawn(async move {
            tokio::time::sleep(COUNTED_WITHIN).await;
            let mut counted = waiting.counted();
            counted.requests = counted.requests.saturating_sub(bytes);
        });
    }
}
