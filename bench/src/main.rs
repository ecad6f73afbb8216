//! Benchmark of the order workflow.
//!
//! Measures the functions' executables through the interfaces that they use in AWS: the Lambda
//! Runtime API, Kafka and DynamoDB. See `docs/performance.md` for the method.

mod bare;
mod baseline;
mod batches;
mod bench;
mod callgrind;
mod cli;
mod cold_start;
mod command;
mod contender;
mod counting_proxy;
mod cpu_share;
mod error;
mod hot_item;
mod hot_item_books;
mod hot_item_plan;
mod instructions;
mod load;
mod load_step;
mod orders;
mod partition;
mod process;
mod procfs;
mod record;
mod report;
mod requests;
mod runtime_api;
mod servers;
mod stage;
mod stages;
mod statistics;
mod tls;
mod topics;
mod units;

use std::process::ExitCode;

use clap::Parser;

use bench::Bench;
use cli::{Options, Part};
use cpu_share::CpuShare;
use error::{BenchError, Context, Result, chain};
use report::{Report, progress};

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("bench: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    match options.part {
        Some(Part::BareSingle) => bare_loop(bare::Write::Single),
        Some(Part::BareBatch) => bare_loop(bare::Write::Batch),
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.context("cannot start the asynchronous runtime")?;
            runtime.block_on(Box::pin(measure(options)))
        }
    }
}

/// One thread, because a function of 256 MB has a seventh of a processor.
fn bare_loop(write: bare::Write) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the asynchronous runtime")?;
    let served = runtime.block_on(bare::run(write));
    served.map_err(|source| BenchError::Failed { operation: "bare loop".to_owned(), source })
}

async fn measure(options: Options) -> Result<()> {
    let share = match options.cpu_share.map(CpuShare::create) {
        None => None,
        Some(Ok(share)) => Some(share),
        Some(Err(cause)) => {
            progress(&format!("--cpu-share is skipped: {cause}"));
            None
        }
    };
    let mut report = Report::new(&options, share.is_some());
    // First, because on external brokers the mappings would consume the events of the other parts.
    if options.includes(&Part::Load) {
        Box::pin(load::run(&options, &mut report)).await?;
    }
    if options.part == Some(Part::Load) {
        return Ok(());
    }
    if let Some(Part::Instructions(args)) = options.part.clone() {
        callgrind::check_installed().await?;
        let bench = &mut Box::pin(Bench::start(options, share)).await?;
        return Box::pin(instructions::run(bench, &args, &mut report)).await;
    }
    let bench = &mut Box::pin(Bench::start(options, share)).await?;
    contender::announce_peers(&bench.options);
    if bench.options.includes(&Part::Stages) {
        Box::pin(stages::run(bench, &mut report)).await?;
    }
    if bench.options.includes(&Part::Requests) {
        Box::pin(requests::run(bench, &mut report)).await?;
    }
    if bench.options.includes(&Part::ColdStart) {
        Box::pin(cold_start::run(bench, &mut report)).await?;
    }
    if bench.options.includes(&Part::HotItem) {
        Box::pin(hot_item::run(bench, &mut report)).await?;
    }
    Ok(())
}
