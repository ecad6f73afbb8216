//! Processor time, latency and memory of each stage by batch size, beside bare loops and peers.
//!
//! A round takes new orders through the whole workflow: the events of one measured stage are the
//! input of the next, so that each stage finds the rows of earlier stages.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::batches::{self, Load, WARM_UP_BATCHES};
use crate::bench::{Bench, check, check_count};
use crate::contender::Contender;
use crate::error::Result;
use crate::process::Process;
use crate::record::{Record, invocation};
use crate::report::{Report, Section, progress};
use crate::stage::Stage;
use crate::statistics::{Spread, megabytes, milliseconds, percentile};
use terminal::grouped;

const ROUNDS: u64 = 3;
/// The batch sizes that include the peers.
const PEER_SIZES: [usize; 2] = [20, 100];
pub(crate) const PEER_STAGES: [Stage; 2] = [Stage::VALIDATOR, Stage::INVENTORY];

/// One contender at one batch size, over the rounds.
#[derive(Default)]
struct Cell {
    contender: String,
    batch_size: usize,
    records_per_cpu_second: Spread,
    p50_us: Spread,
    p99_us: Spread,
    peak_memory_kb: Spread,
}

/// Measures all contenders in turn in each round.
pub(crate) async fn run(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (mut loads, limit) = batches::plan(bench.options.quick);
    let rounds = bench.options.rounds(ROUNDS);
    let mut cells = Vec::new();
    for round in 1..=rounds {
        let mut per_order = None;
        for load in &mut loads {
            // Only in the first round, so that all rounds have the same batches.
            if let Some(per_order) = per_order.filter(|_| round == 1) {
                load.shorten(limit, per_order);
            }
            progress(&format!(
                "stages: round {round} of {rounds}, {} batches of {}",
                load.batches, load.size
            ));
            let started = Instant::now();
            measure_workflow(bench, *load, &mut cells).await?;
            // Batches of one take far longer for each record, so they predict nothing.
            per_order = (load.size > 1).then(|| started.elapsed() / load.orders());
            if bench.options.peers && PEER_SIZES.contains(&load.size) {
                measure_peers(bench, *load, &mut cells).await?;
            }
        }
    }
    report.add("stages", &section(&cells), results(&cells))
}

async fn measure_workflow(bench: &mut Bench, load: Load, cells: &mut Vec<Cell>) -> Result<()> {
    let count = load.size * (WARM_UP_BATCHES + load.batches);
    let created = bench.usual(count).await?;
    let mut records = created.clone();
    for stage in Stage::all() {
        check_count(stage.name(), &records, count)?;
        let contender = bench.function(stage)?;
        measure(bench, &contender, &records, load.size, cells).await?;
        records = bench.published(stage, &records)?;
    }
    for contender in Contender::bare(&bench.servers)? {
        measure(bench, &contender, &created, load.size, cells).await?;
    }
    Ok(())
}

/// Measures the peers on their own orders, because a completed order would be a duplicate.
async fn measure_peers(bench: &mut Bench, load: Load, cells: &mut Vec<Cell>) -> Result<()> {
    let count = load.size * (WARM_UP_BATCHES + load.peer_batches);
    for stage in PEER_STAGES {
        for contender in bench.peers(stage)? {
            let mut records = bench.usual(count).await?;
            if stage == Stage::INVENTORY {
                records = bench.carry(Stage::VALIDATOR, &records).await?;
            }
            measure(bench, &contender, &records, load.size, cells).await?;
        }
    }
    Ok(())
}

async fn measure(
    bench: &Bench,
    contender: &Contender,
    records: &[Record],
    size: usize,
    cells: &mut Vec<Cell>,
) -> Result<()> {
    let invocations: Vec<_> = records.chunks(size).map(invocation).collect();
    let (warm_up, measured) = invocations.split_at(WARM_UP_BATCHES.min(invocations.len()));
    let mut process = Process::start(contender, bench.share.as_ref()).await?;
    for event in warm_up {
        let response = process.invoke(event.clone()).await?;
        check(&process, &response.body)?;
    }
    process.ready().await?;
    let before = process.processor_time_ns()?;
    let mut walls = Vec::with_capacity(measured.len());
    for event in measured {
        let response = process.invoke(event.clone()).await?;
        walls.push(microseconds(response.wall));
        check(&process, &response.body)?;
    }
    process.ready().await?;
    let used_ns = process.processor_time_ns()?.saturating_sub(before).max(1);
    let done = u64::try_from(measured.len() * size).unwrap_or(u64::MAX);
    walls.sort_unstable();
    let Some(cell) = cell(cells, &contender.name, size) else { return Ok(()) };
    cell.records_per_cpu_second.push(done.saturating_mul(1_000_000_000) / used_ns);
    cell.p50_us.push(percentile(&walls, 50));
    cell.p99_us.push(percentile(&walls, 99));
    cell.peak_memory_kb.push(process.peak_memory_kb()?);
    process.stop().await
}

/// The cell of a contender at a batch size, new in the first round.
fn cell<'a>(cells: &'a mut Vec<Cell>, contender: &str, batch_size: usize) -> Option<&'a mut Cell> {
    let is_same = |cell: &Cell| cell.contender == contender && cell.batch_size == batch_size;
    let at = cells.iter().position(is_same).unwrap_or_else(|| {
        let contender = contender.to_owned();
        cells.push(Cell { contender, batch_size, ..Cell::default() });
        cells.len() - 1
    });
    cells.get_mut(at)
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn section(cells: &[Cell]) -> Section {
    let header = ["contender", "batch", "records/CPU-s", "p50 ms", "p99 ms", "peak MB"];
    let mut section =
        Section::new("Stages: median (min..max) of interleaved runs, a new process each", &header);
    section.rows = cells
        .iter()
        .map(|cell| {
            vec![
                cell.contender.clone(),
                cell.batch_size.to_string(),
                cell.records_per_cpu_second.display(grouped),
                cell.p50_us.display(milliseconds),
                cell.p99_us.display(milliseconds),
                cell.peak_memory_kb.display(megabytes),
            ]
        })
        .collect();
    section.notes.push(
        "bare-single and bare-batch only parse, write one row and one Kafka record for each \
         record: the lower bound of this design."
            .to_owned(),
    );
    section
}

fn results(cells: &[Cell]) -> Value {
    let results = cells.iter().map(|cell| {
        json!({
            "contender": cell.contender,
            "batch": cell.batch_size,
            "recordsPerCpuSecond": cell.records_per_cpu_second.json(),
            "p50Us": cell.p50_us.json(),
            "p99Us": cell.p99_us.json(),
            "peakMemoryKb": cell.peak_memory_kb.json(),
        })
    });
    results.collect()
}
