//! Replays random runs of the model itself: the replay allows all that the model does.
#![expect(clippy::indexing_slicing, reason = "a test stops at the first failure")]

use model::{
    Fault, Order, Protocol, Row, Step, Terms, Visible,
    configuration::Configuration,
    replay::{Entry, Kind, Replay, What},
    worlds,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use stateright::Model as _;

const WALKS: u64 = 300;

/// A random run to its end, as a trace. The body of a row names its order.
fn walk(world: &Configuration, rng: &mut ChaCha8Rng) -> Vec<Entry> {
    let (mut state, mut trace) = (world.init_states().remove(0), Vec::new());
    loop {
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        // Real runs have no forged events.
        actions.retain(|action| !matches!(action.step, Step::Fault(Fault::Forge(_))));
        if actions.is_empty() {
            return trace;
        }
        let action = actions[rng.random_range(0..actions.len())];
        let (index, mut next) = (action.order, state.clone());
        let terms = &world.orders[index];
        let order: &mut Order = &mut next.orders[index];
        let seen = world.protocol.apply(terms, order, &mut next.shared, action.step);
        if let Some(next) = world.next_state(&state, action) {
            state = next;
        }
        let body = index.to_string();
        let what = match seen {
            None => continue,
            Some(Visible::Row(stage, row)) => What::Row { stage, row, body },
            Some(Visible::Published(event)) => What::Published { event, body },
        };
        let at = i64::try_from(trace.len()).unwrap_or_default();
        trace.push(Entry { from: at, to: at, order: format!("order {index}"), what });
    }
}

fn terms(world: &Configuration, body: &str) -> Terms {
    let index: usize = body.parse().unwrap_or_default();
    Terms { repeats: true, cancels: true, ..world.orders[index].clone() }
}

#[test]
fn every_run_of_the_model_is_replayed() {
    let is_replayed = |world: &Configuration| world.protocol == Protocol::default();
    for world in worlds::all(1).into_iter().filter(is_replayed) {
        let world = Configuration { is_reduced: false, ..world };
        for seed in 0..WALKS {
            let trace = walk(&world, &mut ChaCha8Rng::seed_from_u64(seed));
            let mut replay = Replay::new(world.protocol, world.shared.clone());
            let result = replay.run(&trace, |body| terms(&world, body));
            assert!(
                result.is_ok(),
                "{} seed {seed}: {}\n{trace:#?}",
                world.name,
                result.unwrap_err()
            );
        }
    }
}

/// A row whose event is published in every run; an early rejection may never have its turn.
fn is_published(what: &What) -> bool {
    let What::Row { stage, row, .. } = what else { return false };
    stage.spec().publishes.is_some() && !matches!(row, Row::Early(_))
}

#[test]
fn a_run_without_one_of_its_rows_deviates() {
    let world = &worlds::all(0)[0];
    for seed in 0..WALKS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut trace = walk(world, &mut rng);
        let rows: Vec<_> = (0..trace.len()).filter(|it| is_published(&trace[*it].what)).collect();
        let dropped = rows[rng.random_range(0..rows.len())];
        trace.remove(dropped);
        let mut replay = Replay::new(world.protocol, world.shared.clone());
        let result = replay.run(&trace, |body| terms(world, body));
        let kind = result.map_err(|deviation| deviation.kind);
        // An early rejection that is not published leaves no trace.
        let is_found = matches!(
            kind,
            Err(Kind::PublishedWithoutARow | Kind::RowOutOfTurn | Kind::UnknownOrder)
        );
        assert!(is_found, "seed {seed}: {kind:?}");
    }
}
