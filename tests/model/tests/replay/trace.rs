//! Records what a run does, and puts it in the order of time.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex},
    time::Instant,
};

use contracts::{StageName, Topic};
use emulator::tap::Tap;
use jiff::Timestamp;
use model::replay::{Entry, What};
use workflow_tests::world::World;

use crate::{
    deliveries::{Deliveries, Tasks},
    topics::{Topics, lock},
    writes,
};

/// The time of an instant of the past in microseconds since 1970, by the clock that the functions'
/// records have.
pub(crate) fn us(at: Instant) -> i64 {
    let since = i64::try_from(at.elapsed().as_micros()).expect("a time");
    Timestamp::now().as_microsecond() - since
}

pub(crate) struct Recorder {
    rows: Arc<Mutex<Vec<Entry>>>,
    topics: Topics,
    deliveries: Deliveries,
    tasks: Tasks,
    tap: Mutex<Option<Tap>>,
}

impl Recorder {
    pub(crate) async fn start(world: &World) -> Self {
        let topics: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        let tap = Tap::start(&world.stack.broker, &topics).await.expect("the tap opens");
        Self {
            rows: writes::record(world),
            topics: Topics::default(),
            deliveries: Deliveries::default(),
            tasks: Tasks::of(world),
            tap: Mutex::new(Some(tap)),
        }
    }

    /// Records until this ends.
    pub(crate) async fn record(&self, world: &World, run: impl Future<Output = ()>) {
        let tap = lock(&self.tap).take().expect("one recording");
        tokio::select! {
            () = run => {}
            () = self.topics.record(world, tap) => {}
            () = self.deliveries.record(world) => {}
        }
    }

    /// Every order has ended, every record is done, and no exchange with the database is under way: a
    /// late response reports the row that its client has found by then.
    pub(crate) fn is_quiet(&self, world: &World) -> bool {
        self.open_orders().is_empty()
            && self.tasks.are_done(world, &self.topics)
            && world.database.in_flight() == 0
    }

    /// The orders without a row of the close.
    pub(crate) fn open_orders(&self) -> HashSet<String> {
        let rows = lock(&self.rows);
        let of = |wanted: StageName| {
            let rows = rows.iter();
            rows.filter(
                move |entry| matches!(&entry.what, What::Row { stage, .. } if *stage == wanted),
            )
            .map(|entry| &entry.order)
        };
        let closed: HashSet<_> = of(StageName::Close).collect();
        of(StageName::OrderApi).filter(|order| !closed.contains(order)).cloned().collect()
    }

    /// The trace, in the order of time.
    pub(crate) fn trace(&self) -> Vec<Entry> {
        let rows = lock(&self.rows).clone();
        let (published, done) =
            (self.topics.entries(), self.deliveries.entries(&self.tasks, &self.topics));
        println!(
            "{} records; {} rows stored, {} events published, {} records done",
            self.topics.len(),
            rows.len(),
            published.len(),
            done.len()
        );
        let mut trace: Vec<Entry> = rows.into_iter().chain(published).chain(done).collect();
        trace.sort_by_key(Entry::sort_key);
        trace
    }
}
