//! Orders, with faults while they are under way.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use workflow_tests::world::World;

use crate::{
    chaos,
    market::{Market, Wish},
    trace::Recorder,
};

/// The orders that are posted at a time.
const CLIENTS: usize = 24;

/// The most attempts of a client that repeats its request.
const ATTEMPTS: usize = 200;

const END_TIMEOUT: Duration = Duration::from_secs(240);

/// Posts the orders while faults strike, then waits until every order has ended and every record is
/// done.
pub(crate) async fn run(world: &World, recorder: &Recorder, orders: u64, seed: u64) {
    let is_over = AtomicBool::new(false);
    let post = async {
        let posts = stream::iter(0..orders).map(|number| post(world, seed, number));
        posts.buffer_unordered(CLIENTS).for_each(async |()| {}).await;
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(post, chaos::run(world, seed, &is_over));
    let ended = async {
        while !recorder.is_quiet(world) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let is_quiet = tokio::time::timeout(END_TIMEOUT, ended).await.is_ok();
    assert!(is_quiet, "open: {:?}", recorder.open_orders());
}

/// Posts an order with its idempotency key until it is accepted, or once without; may cancel it.
async fn post(world: &World, seed: u64, number: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(number));
    let wish = Wish::random(&mut rng);
    let order = Market::order(wish, &mut rng);
    let key = format!("{seed}-{number}");
    let key = rng.random_bool(0.8).then_some(key.as_str());
    let cancelled_after = Duration::from_millis(rng.random_range(0..800));
    let attempts = if key.is_some() { ATTEMPTS } else { 1 };
    for _ in 0..attempts {
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let response = world.request("POST", "/orders", &headers, order.to_string()).await;
        if response.status().as_u16() == 202 {
            if wish == Wish::Cancelled {
                let body: Value = response.json().await.expect("a JSON body");
                tokio::time::sleep(cancelled_after).await;
                cancel(world, body["orderId"].as_str().unwrap()).await;
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks for the cancellation until it is confirmed or refused, whatever a killed process responds.
async fn cancel(world: &World, order_id: &str) {
    for _ in 0..ATTEMPTS {
        if matches!(world.cancel_once(order_id).await.0, 202 | 409) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
