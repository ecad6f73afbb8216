//! Instructions per record of each stage, for batches of 100 fresh orders, beside a baseline.
//!
//! Each stage's process runs twice under callgrind, over a few batches and over some more. In the
//! difference, start, connections and first uses cancel out. Unlike times, instructions hardly
//! depend on the machine and its other load.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::baseline::{Baseline, Figures, UPDATE_COMMAND, change_percent, violation};
use crate::bench::{Bench, check_count, deliver};
use crate::callgrind;
use crate::cli::InstructionsArgs;
use crate::error::{BenchError, Context, Result};
use crate::process::Process;
use crate::record::Record;
use crate::report::{Report, Section, progress};
use crate::stage::Stage;
use crate::statistics::Spread;
use terminal::grouped;

const ROUNDS: u64 = 3;
const BATCH: usize = 100;
/// Batches of both runs.
const WARM_UP_BATCHES: usize = 3;
/// Batches that only the second run has.
const MEASURED_BATCHES: usize = 10;
/// The cargo profile for which the baseline is valid.
const PROFILE: &str = "profiling";

/// A stage over the rounds.
struct Counted {
    stage: Stage,
    instructions: Spread,
    profile: PathBuf,
}

pub(crate) async fn run(
    bench: &mut Bench,
    args: &InstructionsArgs,
    report: &mut Report,
) -> Result<()> {
    let mut baseline = Baseline::read(&args.baseline)?;
    let is_profile = bench.options.function_dir()?.file_name().is_some_and(|it| it == PROFILE);
    if args.update && !is_profile {
        return Err(BenchError::Invalid(format!(
            "cannot update the baseline: it holds for another build (run `{UPDATE_COMMAND}`)"
        )));
    }
    let counted = count(bench).await?;
    let expected = baseline.figures().filter(|_| is_profile);
    report.add("instructions", &section(&counted, expected), results(&counted))?;
    if args.update {
        return baseline.write(&figures(&counted));
    }
    match expected {
        Some(expected) => check(&counted, expected),
        None => {
            progress(&not_checked(&args.baseline, is_profile));
            Ok(())
        }
    }
}

async fn count(bench: &mut Bench) -> Result<Vec<Counted>> {
    let folder = bench.options.output.with_file_name("callgrind");
    std::fs::create_dir_all(&folder).context(format!("cannot create {}", folder.display()))?;
    let mut counted: Vec<Counted> = Stage::all()
        .map(|stage| Counted {
            stage,
            instructions: Spread::default(),
            profile: folder.join(format!("{}.out", stage.binary())),
        })
        .collect();
    let rounds = bench.options.rounds(ROUNDS);
    let orders = (2 * WARM_UP_BATCHES + MEASURED_BATCHES) * BATCH;
    for round in 1..=rounds {
        let mut records = bench.usual(orders).await?;
        for Counted { stage, instructions, profile } in &mut counted {
            progress(&format!("instructions: round {round} of {rounds}, {}", stage.name()));
            check_count(stage.name(), &records, orders)?;
            let (fewer, more) = records.split_at(WARM_UP_BATCHES * BATCH);
            let start = instructions_of(bench, *stage, fewer, profile).await?;
            let all = instructions_of(bench, *stage, more, profile).await?;
            let measured = u64::try_from(MEASURED_BATCHES * BATCH).unwrap_or(u64::MAX);
            instructions.push(all.saturating_sub(start) / measured);
            records = bench.published(*stage, &records)?;
        }
    }
    Ok(counted)
}

/// The instructions of a new process from start to end, over these records.
async fn instructions_of(
    bench: &Bench,
    stage: Stage,
    records: &[Record],
    profile: &Path,
) -> Result<u64> {
    let contender = bench.function(stage)?.under_callgrind(profile);
    let mut process = Process::start(&contender, None).await?;
    for batch in records.chunks(BATCH) {
        deliver(&mut process, batch).await?;
    }
    process.ready().await?;
    process.terminate().await?;
    callgrind::total(profile)
}

fn check(counted: &[Counted], expected: &Figures) -> Result<()> {
    let violations: Vec<String> = counted
        .iter()
        .filter_map(|it| {
            let name = it.stage.name();
            violation(name, it.instructions.median(), expected.get(name).copied(), &it.profile)
        })
        .collect();
    match violations.is_empty() {
        true => Ok(()),
        false => Err(BenchError::Invalid(violations.join("\n"))),
    }
}

fn not_checked(baseline: &Path, is_profile: bool) -> String {
    let path = baseline.display();
    match is_profile {
        true => format!(
            "not checked: {path} has no figures for {} (add them: {UPDATE_COMMAND})",
            std::env::consts::ARCH
        ),
        false => format!("not checked: {path} holds for builds with the profile {PROFILE}"),
    }
}

fn figures(counted: &[Counted]) -> Figures {
    counted.iter().map(|it| (it.stage.name().to_owned(), it.instructions.median())).collect()
}

fn section(counted: &[Counted], expected: Option<&Figures>) -> Section {
    let header = ["stage", "instructions/record", "baseline", "change"];
    let mut section =
        Section::new("Instructions per record, batches of 100: median (min..max)", &header);
    section.rows = counted
        .iter()
        .map(|it| {
            let name = it.stage.name();
            let expected = expected.and_then(|expected| expected.get(name).copied());
            let change = |expected| change_percent(it.instructions.median(), expected);
            vec![
                name.to_owned(),
                it.instructions.display(grouped),
                expected.map_or_else(|| "-".to_owned(), grouped),
                expected.map_or_else(|| "-".to_owned(), change),
            ]
        })
        .collect();
    section
}

fn results(counted: &[Counted]) -> Value {
    let results = counted.iter().map(
        |it| json!({ "stage": it.stage.name(), "instructionsPerRecord": it.instructions.json() }),
    );
    results.collect()
}
