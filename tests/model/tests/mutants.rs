//! Checks that every fault in the protocol is found, by the rule that it breaks.
#![expect(clippy::panic, reason = "a test stops at the first failure")]

use std::{collections::BTreeSet, env, thread};

use model::{Mutant, Rule, configuration::Configuration, worlds};
use stateright::{Checker, HasDiscoveries, Model};
use strum::VariantArray;

/// The most orders and faults together that a counterexample needs.
const MAX_SIZE: usize = 3;

const THREADS: usize = 2;

/// A run that breaks the rule of a mutant.
struct Counterexample {
    world: &'static str,
    steps: Vec<String>,
}

fn search(mutant: Mutant, mut world: Configuration, faults: u8) -> Option<Counterexample> {
    world.protocol.mutant = Some(mutant);
    world.max_faults = faults;
    let (name, rule) = (world.name, mutant.breaks().text());
    let found = HasDiscoveries::AnyOf(BTreeSet::from([rule]));
    // One thread, so that the search finds the same one each time.
    let checked = world.checker().finish_when(found).spawn_bfs().join();
    let path = checked.discovery(rule)?;
    let steps = path.into_actions().iter().map(ToString::to_string).collect();
    Some(Counterexample { world: name, steps })
}

/// A counterexample with the fewest faults, and then the fewest orders.
fn counterexample(mutant: Mutant) -> Counterexample {
    let mut worlds = worlds::all(0);
    worlds.sort_by_key(|world| world.orders.len());
    let sizes = (0..).take(MAX_SIZE).flat_map(|faults| worlds.iter().map(move |it| (faults, it)));
    sizes
        .filter(|(faults, world)| usize::from(*faults) + world.orders.len() <= MAX_SIZE)
        .find_map(|(faults, world)| search(mutant, world.clone(), faults))
        .unwrap_or_else(|| panic!("{} breaks no rule", mutant.name()))
}

/// A line of the table. With `MODEL_EXPLAIN`, the steps follow.
fn report(mutant: Mutant) -> String {
    let Counterexample { world, steps } = counterexample(mutant);
    let (name, rule, length) = (mutant.name(), mutant.breaks().text(), steps.len());
    let line = format!("{name:46} | {rule:62} | {length:2} steps | {world}");
    let is_explained = env::var_os("MODEL_EXPLAIN").is_some();
    if is_explained { format!("{line}\n    {}", steps.join("\n    ")) } else { line }
}

#[test]
fn every_mutant_is_found_by_the_rule_that_it_breaks() {
    let mutants = |thread| Mutant::VARIANTS.iter().skip(thread).step_by(THREADS);
    thread::scope(|scope| {
        let of_thread =
            |thread| scope.spawn(move || mutants(thread).map(|it| report(*it)).collect());
        let threads: Vec<_> = (0..THREADS).map(of_thread).collect();
        for thread in threads {
            let lines: Vec<String> = thread.join().expect("every mutant is found");
            println!("{}", lines.join("\n"));
        }
    });
}

#[test]
fn every_rule_is_broken_by_a_mutant() {
    for rule in Rule::VARIANTS {
        assert!(Mutant::VARIANTS.iter().any(|mutant| mutant.breaks() == *rule), "{}", rule.text());
    }
}
