//! Database requests and capacity units of each stage, for one batch of 100 records.
//!
//! Counted through a proxy, separately from the time measurements.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::bench::{Bench, deliver};
use crate::counting_proxy::{CountingProxy, Counts};
use crate::error::Result;
use crate::orders::{self, Kind};
use crate::process::Process;
use crate::record::Record;
use crate::report::{Report, Section, progress};
use crate::stage::{ORDER_FAILED, Stage};
use crate::statistics::hundredths;
use crate::units::Usage;

const RECORDS: usize = 100;
const REJECTED: usize = 5;
/// The stages that reject orders, each with the kind of order.
const REJECTIONS: [(Stage, Kind, &str); 3] = [
    (Stage::VALIDATOR, Kind::Invalid, "5 of 100 invalid"),
    (Stage::INVENTORY, Kind::OutOfStock, "5 of 100 out of stock"),
    (Stage::PAYMENT, Kind::Declined, "5 of 100 declined"),
];

struct Counted {
    stage: Stage,
    situation: &'static str,
    records: usize,
    counts: Counts,
}

pub(crate) async fn run(bench: &mut Bench, report: &mut Report) -> Result<()> {
    progress("requests: usual, redelivered and rejected orders");
    let proxy = CountingProxy::start(&bench.servers).await?;
    let mut counted = Vec::new();
    let mut records = bench.usual(RECORDS).await?;
    for stage in Stage::all() {
        for situation in ["usual", "redelivered"] {
            counted.push(count(bench, &proxy, stage, situation, &[&records]).await?);
        }
        records = bench.published(stage, &records)?;
    }
    for (stage, kind, situation) in REJECTIONS {
        count_rejected(bench, &proxy, stage, kind, situation, &mut counted).await?;
    }
    report.add("requests", &section(&counted), results(&counted))
}

/// Counts a batch in which a stage rejects 5 of 100 orders.
async fn count_rejected(
    bench: &mut Bench,
    proxy: &CountingProxy,
    rejecting: Stage,
    kind: Kind,
    situation: &'static str,
    counted: &mut Vec<Counted>,
) -> Result<()> {
    let kinds: Vec<Kind> = (0..RECORDS)
        .map(|number| match number % (RECORDS / REJECTED) {
            0 => kind,
            _ => Kind::Usual,
        })
        .collect();
    let mut records = bench.intake(&kinds).await?;
    for stage in Stage::all().take_while(|stage| *stage != rejecting) {
        records = bench.carry(stage, &records).await?;
    }
    counted.push(count(bench, proxy, rejecting, situation, &[&records]).await?);
    if kind == Kind::OutOfStock {
        counted.push(count_closing(bench, proxy, situation, records).await?);
    }
    Ok(())
}

/// Counts the closing of rejected orders by their failure events, and of the others after all
/// stages.
async fn count_closing(
    bench: &mut Bench,
    proxy: &CountingProxy,
    situation: &'static str,
    validated: Vec<Record>,
) -> Result<Counted> {
    let (rejected, usual): (Vec<Record>, Vec<Record>) =
        validated.into_iter().partition(|record| orders::is_out_of_stock(&record.value));
    let keys: HashSet<String> = rejected.iter().map(|record| record.key.clone()).collect();
    let failed = bench.read(ORDER_FAILED, &keys)?;
    let mut records = bench.published(Stage::INVENTORY, &usual)?;
    let after = Stage::all().skip_while(|stage| *stage != Stage::PAYMENT);
    for stage in after.take_while(|stage| *stage != Stage::CLOSE) {
        records = bench.carry(stage, &records).await?;
    }
    count(bench, proxy, Stage::CLOSE, situation, &[&records, &failed]).await
}

/// Delivers batches to a new process, and counts from its first request for an invocation on.
async fn count(
    bench: &Bench,
    proxy: &CountingProxy,
    stage: Stage,
    situation: &'static str,
    batches: &[&[Record]],
) -> Result<Counted> {
    let contender = bench.function(stage)?.with_database(proxy.url());
    let mut process = Process::start(&contender, None).await?;
    process.ready().await?;
    proxy.take();
    for batch in batches {
        deliver(&mut process, batch).await?;
    }
    let counts = proxy.take();
    process.stop().await?;
    let records = batches.iter().map(|batch| batch.len()).sum();
    Ok(Counted { stage, situation, records, counts })
}

impl Counted {
    fn total(&self) -> Usage {
        self.counts.values().fold(Usage::default(), |mut total, usage| {
            total.add(*usage);
            total
        })
    }

    /// A number for each record, with two decimals.
    fn per_record(&self, number: u64) -> String {
        let records = u64::try_from(self.records).unwrap_or(u64::MAX).max(1);
        hundredths((number * 100 + records / 2) / records)
    }

    fn operations(&self) -> String {
        let operations = self.counts.iter().map(|(operation, usage)| {
            let Usage { requests, items, .. } = usage;
            match requests == items {
                true => format!("{requests} {operation}"),
                false => format!("{requests} {operation} ({items} items)"),
            }
        });
        operations.collect::<Vec<_>>().join(", ")
    }
}

fn section(counted: &[Counted]) -> Section {
    let header = [
        "stage",
        "orders",
        "requests",
        "requests/record",
        "write units/record",
        "read units/record",
    ];
    let mut section = Section::new("Database requests of one batch of 100 records", &header);
    section.rows = counted
        .iter()
        .map(|it| {
            let total = it.total();
            // Halves of units, rounded up.
            let reads = it.per_record(total.read_half_units.div_ceil(2));
            vec![
                it.stage.name().to_owned(),
                it.situation.to_owned(),
                it.operations(),
                it.per_record(total.requests),
                it.per_record(total.write_units),
                reads,
            ]
        })
        .collect();
    section
}

fn results(counted: &[Counted]) -> Value {
    let results = counted.iter().map(|it| {
        let operations = it.counts.iter().map(|(operation, usage)| {
            let Usage { requests, items, write_units, read_half_units } = usage;
            let usage = json!({ "requests": requests, "items": items, "writeUnits": write_units,
                "readHalfUnits": read_half_units });
            (operation.clone(), usage)
        });
        json!({
            "stage": it.stage.name(),
            "orders": it.situation,
            "records": it.records,
            "operations": operations.collect::<serde_json::Map<_, _>>(),
        })
    });
    results.collect()
}
