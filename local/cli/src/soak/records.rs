//! Genuine records of a run, to write them again and to forge others from them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::Topic;
use emulator::tap::TapRecord;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::demo::ledger::Ledger;
use crate::fixtures::digest;

/// The latest records, and as many of the whole run.
const MAX_LATEST: usize = 300;

/// A bounded choice of the records so far.
#[derive(Debug)]
pub(crate) struct Records(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    latest: VecDeque<TapRecord>,
    /// Every record so far has the same chance to be among them.
    early: Vec<TapRecord>,
    seen: usize,
    rng: ChaCha8Rng,
}

impl Records {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (latest, early) = (VecDeque::new(), Vec::new());
        Self(Mutex::new(Kept { latest, early, seen: 0, rng }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, record: TapRecord) {
        let mut kept = self.kept();
        kept.seen = kept.seen.saturating_add(1);
        let seen = kept.seen;
        let place = kept.rng.random_range(0..seen);
        if kept.early.len() < MAX_LATEST {
            kept.early.push(record.clone());
        } else if let Some(early) = kept.early.get_mut(place) {
            *early = record.clone();
        }
        if kept.latest.len() == MAX_LATEST {
            kept.latest.pop_front();
        }
        kept.latest.push_back(record);
    }

    /// Draws records, in random order.
    pub(crate) fn draw(&self, draw: u64, is_late: bool, count: usize) -> Vec<TapRecord> {
        let mut rng = ChaCha8Rng::seed_from_u64(draw);
        let kept = self.kept();
        let mut from: Vec<&TapRecord> =
            if is_late { kept.early.iter().collect() } else { kept.latest.iter().collect() };
        from.shuffle(&mut rng);
        from.into_iter().take(count).cloned().collect()
    }

    /// Draws one of the records for which this holds, from all that are kept.
    pub(crate) fn draw_one(
        &self,
        draw: u64,
        holds: impl Fn(&TapRecord) -> bool,
    ) -> Option<TapRecord> {
        let mut rng = ChaCha8Rng::seed_from_u64(draw);
        let kept = self.kept();
        let all = kept.latest.iter().chain(&kept.early).filter(|record| holds(record));
        all.collect::<Vec<_>>().choose(&mut rng).map(|record| (*record).clone())
    }
}

/// True for a record that a function of this run has published.
pub(super) fn is_genuine(ledger: &Ledger, record: &TapRecord) -> bool {
    let Some(topic) = Topic::from_name(&record.topic) else { return false };
    let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let is_malformed = key.is_some_and(|key| ledger.malformed_records.sent.contains_key(key));
    let is_report = topic == Topic::OrderFailed;
    (!is_malformed || is_report) && !ledger.forged.is_forged(digest(&record.payload.as_deref()))
}
