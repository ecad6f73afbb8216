//! Checks the protocol exhaustively, in every configuration.
#![expect(clippy::print_stdout, reason = "a run shows what it has visited")]

use std::{env, time::Instant};

use contracts::STAGES;
use model::{Task, configuration::Configuration, worlds};
use stateright::{Checker, Model};
use strum::VariantArray;

/// Visits every state; the number of states.
fn check(world: Configuration) -> usize {
    let (name, faults, started) = (world.name, world.max_faults, Instant::now());
    let checked = world.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}; faults: {faults}; states: {}; steps: {}; depth: {}; {:.1} s",
        checked.unique_state_count(),
        checked.state_count(),
        checked.max_depth(),
        started.elapsed().as_secs_f32()
    );
    for (rule, path) in checked.discoveries() {
        let steps: Vec<_> = path.into_actions().iter().map(ToString::to_string).collect();
        println!("{rule}:\n  {}", steps.join("\n  "));
    }
    checked.assert_properties();
    checked.unique_state_count()
}

/// `MODEL_FAULTS` adds faults to each configuration: 0 for each change, 1 for the nightly run.
#[test]
fn the_protocol_keeps_every_rule_in_every_interleaving() {
    let more = env::var("MODEL_FAULTS").map_or(0, |text| text.parse().expect("MODEL_FAULTS"));
    let states: usize = worlds::all(more).into_iter().map(check).sum();
    println!("{states} states in all");
}

#[test]
fn the_tasks_are_the_workflow_table() {
    for spec in &STAGES {
        for event in spec.consumed_events() {
            let task = Task::of(spec.name, event);
            assert_eq!(task.map(Task::stage), Some(spec.name), "{event}");
        }
    }
    let consumed = STAGES.iter().flat_map(|spec| spec.consumed_events());
    let tasks = Task::VARIANTS.iter().filter(|task| task.consumes().is_some());
    assert_eq!(consumed.count(), tasks.count());
}
