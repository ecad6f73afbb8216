//! Orders in flight: the shared ledger of a run, and the bound on unfinished orders.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use terminal::{grouped, printable};
use tokio::sync::Semaphore;

use emulator::tap::TapRecord;

use super::ledger::Ledger;
use super::order_state::Record;
use super::orders::Order;
use crate::fixtures::CreatedRecord;

/// Maximum size of the unfinished orders, in KB: about 2,000 typical orders.
///
/// The embedded broker keeps 5 MB per partition and then silently drops the oldest records, so all
/// unfinished orders must fit into one partition.
const UNFINISHED_KB: usize = 4_000;
/// Maximum size of an event without the order's payload, in bytes.
const AROUND_PAYLOAD: usize = 1_000;
/// Kafka's own bytes in a batch of one record.
const RECORD_OVERHEAD: usize = 100;

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

    /// The number of accepted orders that have not ended, with one of them.
    pub(crate) fn open_orders(&self) -> String {
        let ledger = self.ledger();
        let example = ledger.unfinished().next();
        format!(
            "{} of {} accepted orders have not ended{}",
            grouped(ledger.counts.unfinished()),
            grouped(ledger.counts.accepted),
            example
                .map(|order_id| format!(", such as {}", printable(order_id)))
                .unwrap_or_default(),
        )
    }

    /// Acquires the order's permits, one per KB. Returns their number; `None` if too few are
    /// released within this time, because orders do not end.
    pub(crate) async fn acquire(&self, order: &Order, timeout: Duration) -> Option<usize> {
        let kilobytes = (order.body.len() + AROUND_PAYLOAD).div_ceil(1_000).min(UNFINISHED_KB);
        let permits = u32::try_from(kilobytes).unwrap_or(u32::MAX);
        let acquired = tokio::time::timeout(timeout, self.unfinished.acquire_many(permits)).await;
        // The semaphore is never closed: only the time limit can end the wait.
        acquired.ok()?.ok()?.forget();
        Some(kilobytes)
    }

    pub(crate) fn release(&self, kilobytes: usize) {
        self.unfinished.add_permits(kilobytes);
    }

    /// Adds an accepted order. Returns the records to publish a second time.
    pub(crate) fn accept(
        &self,
        order_id: &str,
        order: &Order,
        permits: usize,
    ) -> Vec<CreatedRecord> {
        let mut ledger = self.ledger();
        let ended = ledger.accept(order_id, order, Some(Instant::now()), permits);
        let duplicates = ledger.take_duplicates();
        drop(ledger);
        self.release(ended.unwrap_or_default());
        duplicates
    }

    /// Adds a record of a topic. Returns the records to publish a second time.
    pub(crate) fn observe(&self, record: &TapRecord) -> Vec<CreatedRecord> {
        let seen = Record {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_deref(),
            value: record.payload.as_deref(),
        };
        let mut ledger = self.ledger();
        ledger.counts.bytes = ledger.counts.bytes.saturating_add(bytes(record));
        let ended = ledger.observe(&seen, Instant::now());
        let duplicates = ledger.take_duplicates();
        drop(ledger);
        self.release(ended.unwrap_or_default());
        duplicates
    }
}

fn bytes(record: &TapRecord) -> u64 {
    let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter().map(|(name, value)| name.len() + length(value));
    let bytes = length(&record.key) + length(&record.payload) + headers.sum::<usize>();
    u64::try_from(bytes + RECORD_OVERHEAD).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use contracts::JsonObject;

    use super::*;
    use crate::demo::orders::{Kind, Repeat};
    use crate::demo::schemas::Schemas;

    #[tokio::test]
    async fn the_wait_for_permits_ends_while_open_orders_have_all_of_them() {
        let in_flight = InFlight::new(Ledger::new(Schemas::compile().unwrap()));
        let small = Order::new(Kind::Good, Repeat::Nothing, &JsonObject::new());
        let large = Order { body: "x".repeat(UNFINISHED_KB * 1_000), ..small.clone() };
        let timeout = Duration::from_millis(1);
        assert_eq!(in_flight.acquire(&large, timeout).await, Some(UNFINISHED_KB));
        in_flight.accept("ord-1", &large, UNFINISHED_KB);
        assert_eq!(in_flight.acquire(&small, timeout).await, None);
        assert_eq!(in_flight.open_orders(), "1 of 1 accepted orders have not ended, such as ord-1");
        in_flight.release(UNFINISHED_KB);
        assert_eq!(in_flight.acquire(&small, timeout).await, Some(2));
    }
}
