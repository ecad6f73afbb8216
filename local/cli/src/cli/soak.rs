//! Options of `soak`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use emulator::stack::StackOptions;
use uuid::Uuid;

use super::parsers::{milliseconds, minutes, orders_per_second, processes, seconds};
use super::{PROGRAM, default_template};
use crate::soak::Size;

/// Options of `soak`. Broker, database and functions are those of this program, because faults of
/// others are not its to inject.
#[derive(Debug, Args)]
pub(crate) struct SoakOptions {
    /// The time of the load with faults
    #[arg(long, value_name = "N", default_value = "5", value_parser = minutes)]
    minutes: u64,
    /// The time of the load in seconds, for a short one
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = seconds)]
    seconds: Option<u64>,
    /// The same seed injects the same plan [default: a random one]
    #[arg(long, value_name = "S", default_value_t = random_seed(), hide_default_value = true)]
    pub(crate) seed: u64,
    /// Print the faults with their times, and exit
    #[arg(long)]
    pub(crate) plan: bool,
    /// Orders a second
    #[arg(long, value_name = "N", default_value = "20", value_parser = orders_per_second)]
    rate: u32,
    /// The mean time between two faults, in milliseconds, beside those of orders
    #[arg(long, value_name = "MS", default_value = "1200", value_parser = milliseconds)]
    interval: u64,
    /// The SAM template [default: template.yaml of this folder or a parent]
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Run the binaries in this folder, `audit` too, instead of building them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) function_dir: Option<PathBuf>,
    /// Maximum number of processes per function
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = processes)]
    processes: usize,
}

fn random_seed() -> u64 {
    Uuid::new_v4().as_u64_pair().0 >> 16
}

impl SoakOptions {
    pub(crate) fn template(&self) -> PathBuf {
        self.template.clone().unwrap_or_else(default_template)
    }

    pub(crate) fn size(&self) -> Size {
        let seconds = self.seconds.unwrap_or(self.minutes * 60);
        Size {
            load: Duration::from_secs(seconds),
            rate: self.rate,
            interval: Duration::from_millis(self.interval),
        }
    }

    pub(crate) fn stack(&self) -> StackOptions {
        StackOptions {
            template: self.template(),
            processes: self.processes,
            function_dir: self.function_dir.clone(),
            ..StackOptions::default()
        }
    }

    /// The command that injects the same plan.
    pub(crate) fn repeat(&self) -> String {
        let time = match self.seconds {
            Some(seconds) => format!("--seconds {seconds}"),
            None => format!("--minutes {}", self.minutes),
        };
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        let program = PROGRAM.replacen(" run", &format!(" run{release}"), 1);
        let Self { seed, rate, interval, .. } = self;
        format!("{program} soak {time} --seed {seed} --rate {rate} --interval {interval}")
    }
}
