//! Faults of the processes, the broker and the database, by a seed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use faults::database_proxy::{FaultPlan, Rates};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use workflow_tests::{functions::FUNCTIONS, world::World};

/// Of a million requests to the database.
const RATES: Rates = Rates {
    throttled: 20_000,
    conflicts: 5_000,
    errors: 10_000,
    resets: 5_000,
    delays: 2_000,
    lost: 15_000,
    partial: 10_000,
};

const BETWEEN: Duration = Duration::from_millis(900);
const OUTAGE: Duration = Duration::from_millis(400);

/// Strikes until the load is over.
pub(crate) async fn run(world: &World, seed: u64, is_over: &AtomicBool) {
    world.database.follow(Some(FaultPlan::seeded(seed, &RATES)));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut kills, mut outages) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        tokio::time::sleep(BETWEEN).await;
        if rng.random_bool(0.15) {
            let outage = world.stack.broker.outage();
            tokio::time::sleep(OUTAGE).await;
            drop(outage);
            outages += 1;
        } else {
            let function = FUNCTIONS[rng.random_range(0..FUNCTIONS.len())].name;
            let functions = world.stack.functions.as_ref().expect("functions of this process");
            kills += functions.kill(function).await;
        }
    }
    world.database.follow(None);
    println!("{kills} processes killed, {outages} outages of the broker");
}
