//! The orders in flight: the ledger, shared by all parts of a run, and the bound on their number.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use local::tap::TapRecord;

use super::ledger::Ledger;
use super::order_state::{Put, Record};
use super::orders::Order;

/// How much may be unfinished, in KB: about 2,000 usual orders.
///
/// The embedded broker keeps 5 MB of a partition and then drops the oldest records without a word,
/// so even if all orders fell into one partition they have to fit there.
const UNFINISHED_KB: usize = 4_000;
/// What an event has around the order's payload, at most, in bytes.
const AROUND_PAYLOAD: usize = 1_000;

/// The ledger of a run and the bound on its unfinished orders.
#[derive(Debug)]
pub(crate) struct InFlight {
    ledger: Mutex<Ledger>,
    unfinished: Semaphore,
}

impl InFlight {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new(ledger), unfinished: Semaphore::new(UNFINISHED_KB) }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the order's permits and takes them. Returns their number, one for each KB.
    pub(crate) async fn acquire(&self, order: &Order) -> usize {
        let kilobytes = (order.body.len() + AROUND_PAYLOAD).div_ceil(1_000).min(UNFINISHED_KB);
        let wanted = u32::try_from(kilobytes).unwrap_or(u32::MAX);
        // Never closed, so this does not fail; permits that were not taken are not released either.
        self.unfinished.acquire_many(wanted).await.map_or(0, |permit| {
            permit.forget();
            kilobytes
        })
    }

    pub(crate) fn release(&self, kilobytes: usize) {
        self.unfinished.add_permits(kilobytes);
    }

    /// The HTTP API took the order. Returns the records to put a second time.
    pub(crate) fn accept(&self, order_id: &str, order: &Order, permits: usize) -> Vec<Put> {
        let mut ledger = self.ledger();
        let ended = ledger.accept(order_id, order, Instant::now(), permits);
        let puts = ledger.take_puts();
        drop(ledger);
        self.release(ended.unwrap_or_default());
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
        self.release(ended.unwrap_or_default());
        puts
    }
}
