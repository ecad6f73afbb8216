//! Command line of the benchmark.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::cpu_share::Quota;
use crate::error::{BenchError, Result};

/// Measures the order workflow. Without a part, all parts but `instructions` run.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
    /// Fewer batches and lower load, for a first look (under 2 minutes)
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    /// Interleaved runs of every measurement [default: 3, cold starts 5]
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub(crate) rounds: Option<u64>,
    /// Folder of the functions' executables, NAME or NAME/bootstrap [default: beside this program]
    #[arg(long, global = true)]
    function_dir: Option<PathBuf>,
    /// Description of functions, topics and tables
    #[arg(long, global = true, default_value = "template.yaml")]
    pub(crate) template: PathBuf,
    /// Include the implementations in Python and Node.js (run bench/peers/install first)
    #[arg(long, global = true)]
    pub(crate) peers: bool,
    /// Put TLS between the functions and the database
    #[arg(long, global = true)]
    pub(crate) tls: bool,
    /// Limit each measured process to this share of one processor, such as 0.14 (cgroup v2)
    #[arg(long, global = true)]
    pub(crate) cpu_share: Option<Quota>,
    /// Brokers to use instead of the embedded one
    #[arg(long, global = true, env = "KAFKA_BOOTSTRAP_SERVERS")]
    pub(crate) kafka: Option<String>,
    /// Database to use instead of the embedded one
    #[arg(long, global = true, env = "AWS_ENDPOINT_URL_DYNAMODB")]
    pub(crate) dynamodb: Option<String>,
    /// File of the results
    #[arg(long, global = true, default_value = "target/bench/results.json")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Part {
    /// Throughput, latency and memory of each stage, beside bare loops as the limit
    Stages,
    /// Database requests and capacity units of each stage
    Requests,
    /// Process start to the first record and the first batch, with an invocation waiting
    ColdStart,
    /// Orders a second and time from POST to the last event through the whole stack
    Load,
    /// Orders a second where all orders share one SKU or one account, at DynamoDB's item limits
    HotItem,
    /// Instructions per record of each stage under valgrind, compared with a baseline
    Instructions(InstructionsArgs),
    /// Child process: one `PutItem` and one Kafka record for each record
    #[command(hide = true)]
    BareSingle,
    /// Child process: `BatchExecuteStatement` and one Kafka record for each record
    #[command(hide = true)]
    BareBatch,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct InstructionsArgs {
    /// Make the figures of this run the baseline
    #[arg(long)]
    pub(crate) update: bool,
    /// File of the expected figures
    #[arg(long, default_value = "bench/instructions.json")]
    pub(crate) baseline: PathBuf,
}

impl Options {
    /// `true` for the selected part, or for any if none is selected.
    pub(crate) fn includes(&self, part: &Part) -> bool {
        self.part.as_ref().is_none_or(|chosen| chosen == part)
    }

    pub(crate) fn rounds(&self, default: u64) -> u64 {
        self.rounds.unwrap_or(if self.quick { default.min(3) } else { default })
    }

    /// Folder of the functions' executables.
    pub(crate) fn function_dir(&self) -> Result<PathBuf> {
        match &self.function_dir {
            Some(directory) => Ok(directory.clone()),
            None => Ok(own_path()?.parent().unwrap_or_else(|| Path::new(".")).to_owned()),
        }
    }

    /// The executable of a function: `NAME/bootstrap`, as cargo-lambda leaves it, or `NAME`.
    pub(crate) fn executable(&self, name: &str) -> Result<PathBuf> {
        let directory = self.function_dir()?;
        let candidates = [directory.join(name).join("bootstrap"), directory.join(name)];
        candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            let profile = match profile().as_str() {
                "debug" => String::new(),
                profile => format!(" --profile {profile}"),
            };
            BenchError::Invalid(format!(
                "cannot measure {name}: {} has no such executable (run `cargo build{profile} \
                 --workspace --bins`, or name another folder with --function-dir)",
                directory.display()
            ))
        })
    }
}

/// The cargo profile of this program, from the name of its folder.
pub(crate) fn profile() -> String {
    let path = own_path().unwrap_or_default();
    match path.parent().and_then(Path::file_name).and_then(OsStr::to_str) {
        _ if cfg!(debug_assertions) => "debug".to_owned(),
        folder => folder.unwrap_or("release").to_owned(),
    }
}

pub(crate) fn own_path() -> Result<PathBuf> {
    use crate::error::Context;
    std::env::current_exe().context("cannot find the path of this program")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_part_all_parts_run() {
        let options = Options::parse_from(["bench", "--quick"]);
        assert!(options.includes(&Part::Stages) && options.includes(&Part::Load));
        let options = Options::parse_from(["bench", "cold-start", "--rounds", "2"]);
        assert!(options.includes(&Part::ColdStart) && !options.includes(&Part::Stages));
        assert_eq!(options.rounds(5), 2);
    }

    #[test]
    fn a_missing_function_is_reported_with_the_command_that_builds_it() {
        let options = Options::parse_from(["bench", "--function-dir", "/no/folder"]);
        let message = options.executable("validator").unwrap_err().to_string();
        assert!(message.contains("cargo build --workspace --bins"), "{message}");
    }
}
