//! What do those who post, watch and wait have in common? The ledger and the bound on what is
//! unfinished.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use local::tap::TapRecord;

use super::ledger::Ledger;
use super::orders::Order;
use super::seen::{Put, Record};

/// How much may be unfinished, in KB: about 2,000 usual orders.
///
/// The embedded broker keeps 5 MB of a partition and then drops the oldest records without a word,
/// so even if all orders fell into one partition they have to fit there.
const UNFINISHED_KB: usize = 4_000;
/// What an event has around the order's payload, at most, in bytes.
const AROUND_PAYLOAD: usize = 1_000;

/// The ledger of a run and the bound on its unfinished orders.
#[derive(Debug)]
pub(crate) struct Shared {
    ledger: Mutex<Ledger>,
    unfinished: Semaphore,
}

impl Shared {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new(ledger), unfinished: Semaphore::new(UNFINISHED_KB) }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for the order, and takes it. Returns how much that is.
    pub(crate) async fn make_room(&self, order: &Order) -> usize {
        let kilobytes = (order.body.len() + AROUND_PAYLOAD).div_ceil(1_000).min(UNFINISHED_KB);
        let wanted = u32::try_from(kilobytes).unwrap_or(u32::MAX);
        // Never closed, so this does not fail; room that is not got is not given back either.
        self.unfinished.acquire_many(wanted).await.map_or(0, |permit| {
            permit.forget();
            kilobytes
        })
    }

    pub(crate) fn give_room_back(&self, kilobytes: usize) {
        self.unfinished.add_permits(kilobytes);
    }

    /// The HTTP API took the order. Returns the records to put a second time.
    pub(crate) fn accept(&self, order_id: &str, order: &Order, room: usize) -> Vec<Put> {
        let mut ledger = self.ledger();
        let ended = ledger.accept(order_id, order, Instant::now(), room);
        let puts = ledger.take_puts();
        drop(ledger);
        self.give_room_back(ended.unwrap_or_default());
        puts
    }

    /// A record was seen. Returns the records to put a second time.
    pub(crate) fn see(&self, record: &TapRecord) -> Vec<Put> {
        let seen = Record {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_deref(),
            value: record.payload.as_deref(),
        };
        let mut ledger = self.ledger();
        let ended = ledger.see(&seen, Instant::now());
        let puts = ledger.take_puts();
        drop(ledger);
        self.give_room_back(ended.unwrap_or_default());
        puts
    }
}
