//! The records of the topics: what the functions publish, and copies that the test adds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use contracts::{Envelope, EventType, Topic};
use emulator::tap::{Tap, TapRecord};
use model::replay::{Entry, What};
use workflow_tests::world::World;

/// One of so many records is written twice.
const COPIED: usize = 12;

/// A position on a topic.
type Position = (String, i32, i64);

#[derive(Default)]
pub(crate) struct Topics {
    entries: Mutex<Vec<Entry>>,
    /// The order and event of each record.
    records: Mutex<HashMap<Position, (String, EventType)>>,
    ends: Mutex<HashMap<(String, i32), i64>>,
}

impl Topics {
    /// Reads all topics, and writes some records again. Never ends.
    pub(crate) async fn record(&self, world: &World, mut tap: Tap) {
        let mut count: usize = 0;
        while let Some(record) = tap.next().await {
            let Some(is_published) = self.add(&record) else { continue };
            count += 1;
            if is_published && count.is_multiple_of(COPIED) {
                copy(world, &record, (count / COPIED).is_multiple_of(2)).await;
            }
        }
        panic!("the tap has ended");
    }

    /// Adds a record; `true` if a function has published it.
    fn add(&self, record: &TapRecord) -> Option<bool> {
        let partition = (record.topic.clone(), record.partition);
        let end = lock(&self.ends).insert(partition, record.offset + 1);
        assert_eq!(end.unwrap_or_default(), record.offset, "the broker has dropped records");
        let body = String::from_utf8(record.payload.clone()?).ok()?;
        let event = Envelope::decode(body.as_bytes()).ok()?;
        let (order, event) = (event.order_id.to_string(), event.event_type);
        let position = (record.topic.clone(), record.partition, record.offset);
        lock(&self.records).insert(position, (order.clone(), event));
        // Copies have no headers.
        let is_published = record.headers.iter().any(|(name, _)| name == "ce_id");
        if is_published {
            // The time is in whole milliseconds.
            let (from, to) = (record.timestamp_ms * 1_000, record.timestamp_ms * 1_000 + 999);
            let what = What::Published { event, body };
            lock(&self.entries).push(Entry { from, to, order, what });
        }
        Some(is_published)
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        lock(&self.entries).clone()
    }

    pub(crate) fn record_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> (String, EventType) {
        let position = (topic.to_owned(), partition, offset);
        lock(&self.records).get(&position).expect("the tap has read what a mapping has").clone()
    }

    /// The number of records of a topic's partition.
    pub(crate) fn end(&self, topic: &str, partition: i32) -> i64 {
        let partition = (topic.to_owned(), partition);
        lock(&self.ends).get(&partition).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.records).len()
    }
}

async fn copy(world: &World, record: &TapRecord, to_same_partition: bool) {
    let topic = *Topic::ALL.iter().find(|topic| topic.name() == record.topic).expect("a topic");
    let key = String::from_utf8(record.key.clone().unwrap_or_default()).expect("an order id");
    let partition = to_same_partition.then_some(record.partition).or(Some(0));
    world.write(topic, partition, &key, record.payload.as_deref().unwrap_or_default()).await;
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
