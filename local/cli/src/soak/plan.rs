//! The plan of a soak, made wholly from its seed before the load begins: the orders, and every fault
//! with its time, target and parameters.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use emulator::template::Template;

use super::fault::{Fault, Kind};
use super::fault_draws::Targets;
use crate::demo::orders::{Kind as OrderKind, Order, Repeat};
use crate::demo::plan::Plan as Orders;
use crate::fixtures::catalogue::Catalogue;

/// The load before the first fault, so that every process has its caches and connections.
const WARM_UP: Duration = Duration::from_secs(4);
/// The random numbers of the timed faults. Those of an order have the order's number.
const FAULTS_STREAM: u64 = u64::MAX;
/// Sets the random numbers of the faults of an order apart from those of its content.
const ORDER_FAULTS: u64 = 0x005a_0a4b_a5ed_u64;
/// Orders per thousand whose client goes away.
const CLIENT_GONE: u32 = 40;
/// Maximum time until a client goes away. An order is usually stored and published by then.
const MAX_GONE_AFTER_MS: u64 = 40;
/// The square root of the longest time until a cancellation, in milliseconds: most are early.
const MAX_CANCELLED_AFTER_ROOT: u64 = 64;

/// Sizes of a soak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) load: Duration,
    /// Orders a second.
    pub(crate) rate: u32,
    /// The mean time between two timed faults.
    pub(crate) interval: Duration,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) size: Size,
    pub(crate) orders: Orders,
    /// The timed faults, by time.
    pub(crate) faults: Vec<Planned>,
}

/// A fault at a time after the begin of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// An order, and whether its client waits for the response.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) order: Order,
    /// The time until its client goes away.
    pub(crate) gone_after: Option<Duration>,
}

impl Plan {
    pub(crate) fn new(seed: u64, size: Size, template: &Template, catalogue: &Catalogue) -> Self {
        let count = per(size.rate, WARM_UP) + per(size.rate, size.load);
        let orders = Orders::Made { catalogue: catalogue.clone(), seed, count };
        let faults = timed_faults(seed, size, &Targets::of(template));
        Self { seed, size, orders, faults }
    }

    /// The number of orders before the load.
    pub(crate) fn warm_up(&self) -> u64 {
        per(self.size.rate, WARM_UP)
    }

    /// The time of an order after the first one of the load, or of the warm-up.
    pub(crate) fn due(&self, index: u64) -> Duration {
        Duration::from_micros(index.saturating_mul(1_000_000) / u64::from(self.size.rate.max(1)))
    }

    /// The order with this number. Orders of the warm-up meet no fault.
    pub(crate) fn post(&self, number: u64) -> Option<Post> {
        let mut order = self.orders.order(number)?;
        if number < self.warm_up() {
            (order.repeat, order.cancelled_after) = (Repeat::Nothing, None);
            return Some(Post { order, gone_after: None });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ ORDER_FAULTS);
        rng.set_stream(number);
        let is_gone = rng.random_range(0..1_000_u32) < CLIENT_GONE;
        let gone_after = Duration::from_millis(rng.random_range(0..=MAX_GONE_AFTER_MS));
        let root = rng.random_range(0..=MAX_CANCELLED_AFTER_ROOT);
        order.cancelled_after =
            order.cancelled_after.map(|_| Duration::from_millis(root.saturating_mul(root)));
        let has_another = order.cancelled_after.is_some() || order.repeat != Repeat::Nothing;
        let is_gone = is_gone && !has_another && order.kind != OrderKind::Malformed;
        Some(Post { order, gone_after: is_gone.then_some(gone_after) })
    }

    /// All faults by time, those of the orders included.
    pub(crate) fn all(&self) -> Vec<Planned> {
        let warm_up = self.warm_up();
        let of_orders = (warm_up..self.orders.count()).flat_map(|number| {
            let at = self.due(number - warm_up);
            let faults = self.post(number).map(|post| post.faults(number)).unwrap_or_default();
            faults.into_iter().map(move |fault| Planned { at, fault })
        });
        let mut all: Vec<_> = self.faults.iter().cloned().chain(of_orders).collect();
        all.sort_by_key(|planned| planned.at);
        all
    }
}

impl Post {
    fn faults(&self, order: u64) -> Vec<Fault> {
        let repeat = match self.order.repeat {
            Repeat::Nothing => None,
            Repeat::Request => Some(Fault::RepeatedRequest { order }),
            Repeat::Record => Some(Fault::RepeatedRecord { order }),
        };
        let cancelled = self.order.cancelled_after;
        let cancelled = cancelled.map(|after| Fault::Cancellation { order, after });
        let gone = self.gone_after.map(|after| Fault::ClientGone { order, after });
        repeat.into_iter().chain(cancelled).chain(gone).collect()
    }
}

impl Planned {
    /// A line of the printed plan.
    pub(crate) fn line(&self) -> String {
        let (seconds, milliseconds) = (self.at.as_secs(), self.at.subsec_millis());
        format!("{seconds:>6}.{milliseconds:03} s  {:<34} {}", self.fault.kind().name(), self.fault)
    }
}

/// The number of orders in this time.
fn per(rate: u32, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_millis() / 1_000).unwrap_or(u64::MAX)
}

/// Faults at random times. Every kind has its turn before one comes again, so that a short soak has
/// all of them. All are over when the load ends.
fn timed_faults(seed: u64, size: Size, targets: &Targets) -> Vec<Planned> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(FAULTS_STREAM);
    let most = u64::try_from(size.interval.as_millis() * 2).unwrap_or(u64::MAX).max(1);
    let (mut at, mut faults, mut round) = (Duration::ZERO, Vec::new(), Vec::new());
    loop {
        at += Duration::from_millis(rng.random_range(0..=most));
        if round.is_empty() {
            round = Kind::timed().collect::<Vec<_>>();
            round.shuffle(&mut rng);
        }
        let Some(fault) = round.pop().and_then(|kind| targets.draw(kind, &mut rng)) else {
            continue;
        };
        if at >= size.load {
            return faults;
        }
        if at + fault.lasts() < size.load {
            faults.push(Planned { at, fault });
        }
    }
}
