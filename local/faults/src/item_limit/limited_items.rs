//! The state of each item: its recent write units, and the transaction in flight.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::written_items::{ItemKey, Write};

/// 1,000 write units a second: DynamoDB's limit for one partition, and so for one item.
const TIME_PER_UNIT: Duration = Duration::from_millis(1);
/// Burst of an idle item: 100 units. DynamoDB does not guarantee its burst capacity.
const BURST: Duration = Duration::from_millis(100);

/// The minimum duration of a transaction, during which others conflict with it.
pub const TRANSACTION_LATENCY: Duration = Duration::from_millis(8);

/// The reason why a write is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A transaction in flight updates the item.
    Conflict,
    /// Its write units are used up.
    Throttled,
}

impl Limit {
    /// The code in cancellation reasons and statement responses.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Conflict => "TransactionConflict",
            Self::Throttled => "ThrottlingError",
        }
    }
}

/// Write units and rejected writes of one item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemCounts {
    pub write_units: u64,
    pub conflicts: u64,
    pub throttled: u64,
}

/// The items that were written, by key.
#[derive(Debug, Clone, Default)]
pub struct Items(Arc<Mutex<HashMap<ItemKey, ItemState>>>);

#[derive(Debug, Default)]
struct ItemState {
    /// The time at which the bucket is full again; `None` before the first write.
    full_at: Option<Instant>,
    is_in_transaction: bool,
    counts: ItemCounts,
}

/// A transaction in flight; releases its items when dropped.
#[derive(Debug)]
pub struct Transaction {
    items: Items,
    keys: Vec<ItemKey>,
}

impl Items {
    /// Begins a transaction, which takes twice the units.
    ///
    /// # Errors
    /// The limit of each action, if any applies; then no units are taken.
    pub fn begin(
        &self,
        writes: &[Option<Write>],
        now: Instant,
    ) -> Result<Transaction, Vec<Option<Limit>>> {
        let mut items = self.lock();
        let limits: Vec<Option<Limit>> = writes
            .iter()
            .map(|write| {
                let write = write.as_ref()?;
                items.entry(write.item.clone()).or_default().limit(2 * write.units, now)
            })
            .collect();
        if limits.iter().any(Option::is_some) {
            return Err(limits);
        }
        for write in writes.iter().flatten() {
            let item = items.entry(write.item.clone()).or_default();
            item.take(2 * write.units, now);
            item.is_in_transaction = true;
        }
        let keys = writes.iter().flatten().map(|write| write.item.clone()).collect();
        Ok(Transaction { items: self.clone(), keys })
    }

    /// Takes the units of a write outside transactions.
    ///
    /// # Errors
    /// The limit that applies; then no units are taken.
    pub fn write(&self, write: &Write, now: Instant) -> Result<(), Limit> {
        let mut items = self.lock();
        let item = items.entry(write.item.clone()).or_default();
        match item.limit(write.units, now) {
            Some(limit) => Err(limit),
            None => {
                item.take(write.units, now);
                Ok(())
            }
        }
    }

    pub fn counts(&self, key: &ItemKey) -> ItemCounts {
        self.lock().get(key).map(|item| item.counts).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ItemKey, ItemState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ItemState {
    /// The limit that rejects a write, if any; counts it.
    fn limit(&mut self, units: u64, now: Instant) -> Option<Limit> {
        if self.is_in_transaction {
            self.counts.conflicts += 1;
            return Some(Limit::Conflict);
        }
        let used = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        // A full bucket permits one write of any size: an item of 400 KB takes 800 units.
        if !used.is_zero() && used + time_of(units) > BURST {
            self.counts.throttled += 1;
            return Some(Limit::Throttled);
        }
        None
    }

    fn take(&mut self, units: u64, now: Instant) {
        let from = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(from + time_of(units));
        self.counts.write_units += units;
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let mut items = self.items.lock();
        for key in &self.keys {
            if let Some(item) = items.get_mut(key) {
                item.is_in_transaction = false;
            }
        }
    }
}

fn time_of(units: u64) -> Duration {
    TIME_PER_UNIT.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(item: &str, units: u64) -> Option<Write> {
        Some(Write { item: ItemKey(item.to_owned()), units })
    }

    #[test]
    fn transactions_on_one_item_conflict_until_the_first_has_ended() {
        let (items, now) = (Items::default(), Instant::now());
        let first = items.begin(&[write("a", 1), write("hot", 1)], now).unwrap();
        let second = items.begin(&[write("b", 1), None, write("hot", 1)], now).unwrap_err();
        assert_eq!(second, [None, None, Some(Limit::Conflict)]);
        assert_eq!(items.write(&write("hot", 1).unwrap(), now), Err(Limit::Conflict));
        // The cancelled transaction locks no item.
        items.begin(&[write("b", 1)], now).unwrap();
        drop(first);
        items.begin(&[write("hot", 1)], now).unwrap();
        let counts = ItemCounts { write_units: 4, conflicts: 2, throttled: 0 };
        assert_eq!(items.counts(&ItemKey("hot".to_owned())), counts);
    }

    #[test]
    fn an_item_takes_a_thousand_units_a_second() {
        let (items, start) = (Items::default(), Instant::now());
        let one = write("hot", 1).unwrap();
        let mut written = 0;
        for ms in 0..1_000 {
            let now = start + Duration::from_millis(ms);
            while items.write(&one, now).is_ok() {
                written += 1;
            }
        }
        assert_eq!(written, 1_099);
        assert_eq!(items.counts(&one.item).write_units, written);
    }

    #[test]
    fn a_write_above_the_burst_passes_where_the_bucket_is_full() {
        let (items, now) = (Items::default(), Instant::now());
        let large = [write("large", 400)];
        items.begin(&large, now).unwrap();
        let early = items.begin(&large, now + Duration::from_millis(799)).unwrap_err();
        assert_eq!(early, [Some(Limit::Throttled)]);
        items.begin(&large, now + Duration::from_millis(800)).unwrap();
    }
}
