//! Cold starts: from process start to the first record and to the first batch of 100. An invocation
//! is already waiting, as in Lambda.

use serde_json::{Value, json};

use crate::bench::{Bench, check, check_count};
use crate::contender::Contender;
use crate::error::Result;
use crate::process::Process;
use crate::procfs;
use crate::record::{Record, invocation};
use crate::report::{Report, Section, progress};
use crate::stage::Stage;
use crate::stages::{PEER_STAGES, microseconds};
use crate::statistics::{Spread, milliseconds};

const ROUNDS: u64 = 5;
const BATCH: usize = 100;

/// Wall and processor time from the start of the process.
#[derive(Default)]
struct Times {
    wall_us: Spread,
    cpu_us: Spread,
}

/// One contender over the rounds.
#[derive(Default)]
struct ColdStart {
    name: String,
    next: Times,
    first_record: Times,
    first_batch: Times,
    connections: Spread,
}

/// The times of one process: until it requested an invocation, and until it responded.
struct Start {
    next: (u64, u64),
    done: (u64, u64),
    connections: u64,
}

pub(crate) async fn run(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let mut starts = Vec::new();
    let rounds = bench.options.rounds(ROUNDS);
    for round in 1..=rounds {
        progress(&format!("cold start: round {round} of {rounds}"));
        let created = bench.usual(BATCH + 1).await?;
        let mut records = created.clone();
        for stage in Stage::all() {
            check_count(stage.name(), &records, BATCH + 1)?;
            let contender = bench.function(stage)?;
            measure(bench, &contender, &records, &mut starts).await?;
            records = bench.published(stage, &records)?;
        }
        for contender in Contender::bare(&bench.servers)? {
            measure(bench, &contender, &created, &mut starts).await?;
        }
        if bench.options.peers {
            measure_peers(bench, &mut starts).await?;
        }
    }
    report.add("coldStart", &section(&starts), starts.iter().map(ColdStart::json).collect())
}

/// Measures the peers on their own orders, because a completed order would be a duplicate.
async fn measure_peers(bench: &mut Bench, starts: &mut Vec<ColdStart>) -> Result<()> {
    for stage in PEER_STAGES {
        for contender in bench.peers(stage)? {
            let mut records = bench.usual(BATCH + 1).await?;
            if stage == Stage::INVENTORY {
                records = bench.carry(Stage::VALIDATOR, &records).await?;
            }
            measure(bench, &contender, &records, starts).await?;
        }
    }
    Ok(())
}

async fn measure(
    bench: &Bench,
    contender: &Contender,
    records: &[Record],
    starts: &mut Vec<ColdStart>,
) -> Result<()> {
    let (one, batch) = records.split_at(1);
    let first_record = start(bench, contender, one).await?;
    let first_batch = start(bench, contender, batch).await?;
    let at = starts.iter().position(|it| it.name == contender.name).unwrap_or_else(|| {
        starts.push(ColdStart { name: contender.name.clone(), ..ColdStart::default() });
        starts.len() - 1
    });
    let Some(cold_start) = starts.get_mut(at) else { return Ok(()) };
    cold_start.next.push(first_record.next);
    cold_start.first_record.push(first_record.done);
    cold_start.first_batch.push(first_batch.done);
    cold_start.connections.push(first_batch.connections);
    Ok(())
}

async fn start(bench: &Bench, contender: &Contender, records: &[Record]) -> Result<Start> {
    let port = bench.servers.database_port()?;
    let event = Some(invocation(records));
    let mut process = Process::start_with(contender, bench.share.as_ref(), event).await?;
    let started = process.started;
    let asked = process.ready().await?;
    let next = (microseconds(asked.duration_since(started)), process.processor_time_ns()? / 1_000);
    let (answered, body) = process.response().await?;
    let cpu_us = process.processor_time_ns()? / 1_000;
    let done = (microseconds(answered.duration_since(started)), cpu_us);
    let connections = procfs::connections(process.id, port);
    check(&process, &body)?;
    process.stop().await?;
    Ok(Start { next, done, connections })
}

impl Times {
    fn push(&mut self, (wall_us, cpu_us): (u64, u64)) {
        self.wall_us.push(wall_us);
        self.cpu_us.push(cpu_us);
    }

    fn json(&self) -> Value {
        json!({ "wallUs": self.wall_us.json(), "cpuUs": self.cpu_us.json() })
    }
}

impl ColdStart {
    fn json(&self) -> Value {
        json!({
            "contender": self.name,
            "next": self.next.json(),
            "firstRecord": self.first_record.json(),
            "firstBatchOf100": self.first_batch.json(),
            "databaseConnections": self.connections.json(),
        })
    }
}

fn section(starts: &[ColdStart]) -> Section {
    let header = [
        "contender",
        "to next ms",
        "CPU ms",
        "to first record ms",
        "CPU ms",
        "to 100 records ms",
        "CPU ms",
        "connections",
    ];
    let title = "Cold starts with an invocation waiting: from process start, median (min..max)";
    let mut section = Section::new(title, &header);
    section.rows = starts
        .iter()
        .map(|it| {
            let times =
                [&it.next, &it.first_record, &it.first_batch].into_iter().flat_map(|times| {
                    [times.wall_us.display(milliseconds), times.cpu_us.display(milliseconds)]
                });
            let connections = it.connections.display(|count| count.to_string());
            [it.name.clone()].into_iter().chain(times).chain([connections]).collect()
        })
        .collect();
    section.notes.push(
        "connections: open to the database after the first batch of 100, in a separate process"
            .to_owned(),
    );
    section
}
