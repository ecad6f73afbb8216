//! Runs the workflow with faults, and replays what it did against the model.
//!
//! `REPLAY_ORDERS` is the number of orders, each of about six records; `REPLAY_SEED` repeats a plan
//! of faults.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first failure, and shows what it has seen"
)]

mod chaos;
mod damage;
mod deliveries;
mod load;
mod market;
mod topics;
mod trace;
mod writes;

use std::{env, time::Instant};

use model::replay::Replay;
use strum::VariantArray;
use workflow_tests::world::{World, WorldOptions};

use crate::{damage::Damage, market::Market, trace::Recorder};

const ENV: [(&str, &str); 2] =
    [("RECOVERY_AGES_SECONDS", "1,86400"), ("RECOVERY_WINDOW_SECONDS", "900")];

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn fresh_seed() -> u64 {
    jiff::Timestamp::now().as_millisecond().unsigned_abs()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_faults_is_what_the_model_allows() {
    let (orders, seed) = (number("REPLAY_ORDERS", 1_000), number("REPLAY_SEED", fresh_seed()));
    println!("REPLAY_ORDERS={orders} REPLAY_SEED={seed}");
    let market = Market::for_orders(orders);
    let schedule_period = Some(std::time::Duration::from_secs(5));
    let options = WorldOptions { function_env: &ENV, schedule_period, ..WorldOptions::default() };
    let world = World::start_as(&options).await;
    market.open(&world).await;
    let recorder = Recorder::start(&world).await;
    recorder.record(&world, load::run(&world, &recorder, orders, seed)).await;

    let trace = recorder.trace();
    let (mut replay, started) = (Replay::new(market.protocol(), market.shared()), Instant::now());
    replay.run(&trace, |body| market.terms(body)).unwrap_or_else(|it| panic!("{it}"));
    println!("{} entries replayed in {:.1} s", trace.len(), started.elapsed().as_secs_f32());
    market.assert_closed(&world, &replay).await;
    for damage in Damage::VARIANTS {
        damage.assert_is_found(&trace, &market);
    }
    world.stop().await;
}
