//! The batch sizes of a run, and the number of measured batches of each.

use std::time::Duration;

/// Batches that every process handles before it is measured.
pub(crate) const WARM_UP_BATCHES: usize = 10;
/// Approximate limit of one round of all contenders at one batch size.
const LOAD_LIMIT: Duration = Duration::from_secs(20);
const QUICK_LOAD_LIMIT: Duration = Duration::from_secs(7);
const MIN_BATCHES: usize = 4;
/// A batch size and its batches in one round, without the warm-up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) size: usize,
    pub(crate) batches: usize,
    pub(crate) peer_batches: usize,
}

const FULL: [Load; 4] = [
    Load { size: 1, batches: 400, peer_batches: 0 },
    Load { size: 20, batches: 200, peer_batches: 30 },
    Load { size: 100, batches: 100, peer_batches: 12 },
    Load { size: 500, batches: 20, peer_batches: 0 },
];
/// Without batches of 500, whose warm-up alone takes most of a round.
const QUICK: [Load; 3] = [
    Load { size: 1, batches: 80, peer_batches: 0 },
    Load { size: 20, batches: 30, peer_batches: 10 },
    Load { size: 100, batches: 12, peer_batches: 5 },
];

/// The loads of a run, and the approximate limit of a round of each.
pub(crate) fn plan(quick: bool) -> (Vec<Load>, Duration) {
    match quick {
        true => (QUICK.to_vec(), QUICK_LOAD_LIMIT),
        false => (FULL.to_vec(), LOAD_LIMIT),
    }
}

impl Load {
    /// Orders of a round, warm-up included.
    pub(crate) fn orders(self) -> u32 {
        u32::try_from(self.size * (WARM_UP_BATCHES + self.batches)).unwrap_or(u32::MAX).max(1)
    }

    /// Keeps the load within a time limit on slow servers, but leaves a few batches.
    pub(crate) fn shorten(&mut self, limit: Duration, per_order: Duration) {
        let orders = limit.as_micros() / per_order.as_micros().max(1);
        let batches = usize::try_from(orders).unwrap_or(usize::MAX) / self.size;
        let most = self.batches;
        self.batches = batches.saturating_sub(WARM_UP_BATCHES).clamp(MIN_BATCHES.min(most), most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_servers_shorten_a_load_to_a_few_batches_at_least() {
        let shortened = |per_order_ms| {
            let mut load = Load { size: 100, batches: 100, peer_batches: 0 };
            load.shorten(Duration::from_secs(20), Duration::from_millis(per_order_ms));
            load.batches
        };
        assert_eq!((shortened(1), shortened(5), shortened(50)), (100, 30, MIN_BATCHES));
    }
}
