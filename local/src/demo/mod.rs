//! Sends orders through the whole workflow, waits until each has ended, and checks the books.

mod backlog;
mod books;
pub(crate) mod catalogue;
mod counts;
mod drive;
mod generator;
pub(crate) mod holdings;
mod in_flight;
mod ledger;
mod malformed_inputs;
mod malformed_records;
mod order_state;
mod orders;
mod plan;
pub(crate) mod producer;
mod progress;
mod report;
mod run;
mod schemas;

use std::time::Duration;

use local::stack::Stack;
use local::tap::Tap;
use local::template::Template;

use crate::cli::{self, DemoOptions};
use crate::fault::Fault;
use crate::start;
use crate::terminal::Terminal;

use backlog::Backlog;
use catalogue::Catalogue;
use holdings::Holdings;
use in_flight::InFlight;
use ledger::Ledger;
pub(crate) use order_state::Put;
use plan::Plan;
use producer::Producer;
use progress::Progress;
use report::Figures;
use run::Run;
use schemas::Schemas;

/// Runs the demo.
pub(crate) async fn run(options: &DemoOptions, terminal: &Terminal) -> Result<(), Fault> {
    let stack_options = options.stack();
    // What a person can get wrong comes first, before anything takes time.
    Template::read(&stack_options.template).map_err(Fault::start)?;
    let workspace = cli::workspace(&stack_options.template);
    let catalogue = Catalogue::read(&workspace).map_err(Fault::start)?;
    let plan = match &options.file {
        Some(file) => Plan::read(file).map_err(Fault::start)?,
        None => {
            Plan::Made { catalogue: catalogue.clone(), seed: options.seed, count: options.orders }
        }
    };
    let stack = start::stack(stack_options, |api| api, terminal).await?;
    for line in plan.description() {
        terminal.say(&line);
    }
    let result = tokio::select! {
        result = Box::pin(demonstrate(&plan, &catalogue, &stack, terminal)) => result,
        interrupted = start::interrupted() => interrupted.and(Err(Fault::Interrupted)),
    };
    stack.stop().await;
    result
}

async fn demonstrate(
    plan: &Plan,
    catalogue: &Catalogue,
    stack: &Stack,
    terminal: &Terminal,
) -> Result<(), Fault> {
    let backlog = Backlog::of(&stack.template, &stack.broker).await.map_err(Fault::start)?;
    // On a broker of one's own there may be work left, which would change the stock meanwhile.
    let mut topics_ended = backlog::Ends::new();
    run::wait_until_idle(&backlog, &mut topics_ended).await?;
    let mut holdings = catalogue.holdings();
    plan.supply(catalogue, &mut holdings);
    holdings.load(stack).await.map_err(Fault::start)?;
    let before = Holdings::read(stack).await.map_err(Fault::start)?;

    let in_flight = InFlight::new(Ledger::new(Schemas::compile().map_err(Fault::start)?));
    let producer = Producer::new(stack.broker.bootstrap_servers()).map_err(Fault::start)?;
    let topics: Vec<&str> = stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut tap = Tap::start(&stack.broker, &topics).await.map_err(Fault::start)?;
    let mut progress = Progress::new(terminal, plan.count());
    let run = Run { stack, in_flight: &in_flight, producer: &producer, backlog: &backlog };
    let ended = tokio::select! {
        ended = run.drive(plan, topics_ended) => ended,
        fault = run.watch(&mut tap) => Err(fault),
        fault = run.detect_stall() => Err(fault),
        () = progress.keep_showing(&in_flight) => Ok(Duration::ZERO),
    };
    progress.finish();
    let took = ended?;
    let after = Holdings::read(stack).await.map_err(Fault::run)?;
    conclude(&in_flight, &before, &after, Figures { took, retried: retried(stack) }, terminal)
}

fn conclude(
    in_flight: &InFlight,
    before: &Holdings,
    after: &Holdings,
    figures: Figures,
    terminal: &Terminal,
) -> Result<(), Fault> {
    let ledger = in_flight.ledger();
    terminal.say("");
    terminal.say(&report::table(&ledger));
    terminal.say("");
    for line in report::figures(&ledger, figures) {
        terminal.say(&line);
    }
    terminal.say("");
    let imbalances = books::imbalances(&ledger, before, after);
    for line in report::verdict(&imbalances, &ledger) {
        terminal.say(&line);
    }
    if imbalances.is_empty() { Ok(()) } else { Err(Fault::Unbalanced) }
}

fn retried(stack: &Stack) -> u64 {
    stack.mappings.values().map(|mapping| mapping.counts().snapshot().redelivered).sum()
}
