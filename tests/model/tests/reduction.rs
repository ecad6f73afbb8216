//! Checks that leaving out interleavings leaves out no end.

use std::collections::HashSet;

use model::{
    configuration::{Configuration, State},
    worlds,
};
use stateright::Model;

/// Every state in which only faults are left, and the number of all states.
fn ends(world: &Configuration) -> (HashSet<State>, usize) {
    let (mut known, mut ends) = (HashSet::new(), HashSet::new());
    let mut open = world.init_states();
    known.extend(open.iter().cloned());
    while let Some(state) = open.pop() {
        for next in world.next_states(&state) {
            if known.insert(next.clone()) {
                open.push(next);
            }
        }
        if world.is_settled(&state) {
            ends.insert(state);
        }
    }
    (ends, known.len())
}

#[test]
fn the_reduced_search_comes_to_every_end_of_the_whole_one() {
    for (orders, faults) in [(2, 0), (2, 1), (3, 0)] {
        for world in worlds::all(0) {
            if world.orders.len() != orders || world.name.contains("repeated") && faults > 0 {
                continue;
            }
            let world = Configuration { max_faults: faults, ..world };
            let (reduced, visited) = ends(&world);
            let (whole, all) = ends(&Configuration { is_reduced: false, ..world.clone() });
            let name = world.name;
            println!("{name}, {faults} faults: {visited} of {all} states, {} ends", whole.len());
            assert_eq!(reduced.len(), whole.len(), "{name}");
            assert!(reduced == whole, "{name}");
        }
    }
}
