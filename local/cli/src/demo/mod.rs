//! Sends orders through the whole workflow, waits until each has ended, and checks the books.

pub(crate) mod backlog;
pub(crate) mod books;
mod content;
mod counts;
pub(crate) mod drive;
mod forged_events;
mod generator;
pub(crate) mod in_flight;
pub(crate) mod ledger;
pub(crate) mod malformed_inputs;
pub(crate) mod malformed_records;
mod order_state;
pub(crate) mod orders;
mod outages;
pub(crate) mod plan;
mod progress;
pub(crate) mod report;
mod report_file;
pub(crate) mod run;
pub(crate) mod schemas;

use std::path::Path;
use std::time::Duration;

use emulator::stack::Stack;
use emulator::tap::Tap;
use emulator::template::Template;
use local_runs::Run as LocalRun;

use crate::archive::{self, Archive};
use crate::boot;
use crate::cli::{self, DemoOptions};
use crate::signals::Signals;
use terminal::ExitError;
use terminal::Terminal;

use crate::fixtures::catalogue::Catalogue;
use crate::fixtures::holdings::Holdings;
use crate::fixtures::producer::Producer;
use backlog::Backlog;
use in_flight::InFlight;
use ledger::Ledger;
use outages::Outages;
use plan::Plan;
use progress::Progress;
use report::Figures;
use report_file::ReportFile;
use run::Run;
use schemas::Schemas;

/// Runs the demo.
pub(crate) async fn run(
    options: &DemoOptions,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<(), ExitError> {
    let mut stack_options = options.stack();
    // Options and files are checked before the slow start of the stack.
    Template::read(&stack_options.template).map_err(ExitError::start)?;
    let workspace = cli::workspace(&stack_options.template);
    let catalogue = Catalogue::read(&workspace).map_err(ExitError::start)?;
    let plan = match &options.file {
        Some(file) => Plan::read(file).map_err(ExitError::start)?,
        None => {
            Plan::Made { catalogue: catalogue.clone(), seed: options.seed, count: options.orders }
        }
    };
    let report = options.report.as_deref().map(ReportFile::create);
    let report = report.transpose().map_err(ExitError::start)?;
    let local_run = LocalRun::start(&workspace).map_err(ExitError::start)?;
    let logs = local_run.logs();
    stack_options.log_dir.clone_from(&logs);
    stack_options.link_dir = Some(local_run.functions());
    let stack = boot::stack(stack_options, |api| api, terminal, signals).await?;
    let archive = Archive::start_in(options.archive(), &stack.broker).await?;
    for line in plan.description() {
        terminal.println(&line);
    }
    let places = Places { logs: &logs, report: report.as_ref() };
    let outages = (!options.calm).then(Outages::default);
    let result = tokio::select! {
        result = Box::pin(demonstrate(&plan, &catalogue, &stack, outages.as_ref(), &places, terminal)) => result,
        () = signals.received(terminal) => Err(ExitError::Interrupted),
    };
    let broker = stack.stop().await;
    // Whatever the result is: the archive shows how it came about.
    let archived = archive::finish(archive, &broker, terminal).await;
    result.and(archived)
}

/// The logs and the report of a run.
struct Places<'a> {
    logs: &'a Path,
    report: Option<&'a ReportFile>,
}

async fn demonstrate(
    plan: &Plan,
    catalogue: &Catalogue,
    stack: &Stack,
    outages: Option<&Outages>,
    places: &Places<'_>,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    let logs = places.logs;
    let backlog = Backlog::of(&stack.template, &stack.broker).await.map_err(ExitError::start)?;
    // An external broker may have unhandled records, which would change the stock.
    let mut topics_ended = backlog::Ends::new();
    run::wait_until_idle(&backlog, &mut topics_ended, logs).await?;
    let mut holdings = catalogue.holdings();
    plan.supply(catalogue, &mut holdings);
    holdings.load(stack).await.map_err(ExitError::start)?;
    let before = Holdings::read(stack).await.map_err(ExitError::start)?;

    let in_flight = InFlight::new(Ledger::new(Schemas::compile().map_err(ExitError::start)?));
    let producer = Producer::new(stack.broker.bootstrap_servers()).map_err(ExitError::start)?;
    let topics: Vec<&str> = stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut tap = Tap::start(&stack.broker, &topics).await.map_err(ExitError::start)?;
    let mut progress = Progress::new(terminal, plan.count());
    let run =
        Run { stack, in_flight: &in_flight, producer: &producer, backlog: &backlog, outages, logs };
    let ended = tokio::select! {
        ended = run.drive(plan, topics_ended) => ended,
        error = run.watch(&mut tap) => Err(error),
        error = run.detect_stall() => Err(error),
        () = progress.keep_showing(&in_flight) => Ok(Duration::ZERO),
    };
    progress.finish();
    let took = ended?;
    let after = Holdings::read(stack).await.map_err(ExitError::run)?;
    conclude(
        &in_flight,
        &before,
        &after,
        Figures {
            took,
            redelivered: redelivered(stack),
            outages: outages.map(Outages::description),
        },
        places,
        terminal,
    )
}

fn conclude(
    in_flight: &InFlight,
    before: &Holdings,
    after: &Holdings,
    figures: Figures,
    places: &Places<'_>,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    let ledger = in_flight.ledger();
    if let Some(file) = places.report {
        file.write(&ledger, after).map_err(ExitError::run)?;
    }
    terminal.println("");
    terminal.println(&report::table(&ledger));
    terminal.println("");
    for line in report::figures(&ledger, figures) {
        terminal.println(&line);
    }
    terminal.println("");
    let imbalances = books::imbalances(&ledger, before, after);
    for line in report::verdict(&imbalances, &ledger) {
        terminal.println(&line);
    }
    terminal.println("");
    terminal.println(&report::next_step(imbalances.is_empty(), places.logs));
    if imbalances.is_empty() { Ok(()) } else { Err(ExitError::Unbalanced) }
}

pub(crate) fn redelivered(stack: &Stack) -> u64 {
    stack.mappings.values().map(|mapping| mapping.counts().snapshot().redelivered).sum()
}
