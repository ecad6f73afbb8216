//! Options of `redrive`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contracts::Topic;

use crate::position::Position;

const NO_SELECTION: &str = "nothing to redrive was given: give --all, or positions such as \
     order.created/0/17 (`cargo run --bin redrive -- list` lists them)";

/// Options of `redrive`.
#[derive(Debug, Parser)]
#[command(
    name = "redrive",
    bin_name = "cargo run --bin redrive --",
    version,
    about = "Lists dead letters and publishes their records on their topics again.",
    arg_required_else_help = false
)]
pub(crate) struct RedriveOptions {
    #[command(subcommand)]
    pub(crate) command: RedriveCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RedriveCommand {
    /// List the dead letters: cause, age, position
    List(ListOptions),
    /// Publish records on their topics again, unchanged and once
    Run(RunOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only records of this topic
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    pub(crate) topic: Option<Topic>,
    #[command(flatten)]
    pub(crate) brokers: BrokerOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The records to redrive, as `redrive list` prints them
    #[arg(value_name = "TOPIC/PARTITION/OFFSET", conflicts_with_all = ["all", "topic"])]
    positions: Vec<Position>,
    /// Redrive every pending record
    #[arg(long)]
    all: bool,
    /// With --all: only records of this topic
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    topic: Option<Topic>,
    /// Print what would be redriven, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) brokers: BrokerOptions,
}

#[derive(Debug, Args)]
pub(crate) struct BrokerOptions {
    /// The brokers of the workflow [default: those of a running `cargo run -- up`]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "KAFKA_BOOTSTRAP_SERVERS",
        value_parser = kafka::bootstrap_servers
    )]
    pub(crate) kafka: Option<String>,
    /// Authentication; msk-iam takes region and credentials as the AWS CLI does
    #[arg(long, env = "KAFKA_SIGN_IN", value_enum, ignore_case = true, default_value = "none")]
    pub(crate) auth: AuthChoice,
    /// Trust these certificates instead of the system's
    #[arg(long, value_name = "FILE", env = "KAFKA_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthChoice {
    /// No authentication: brokers on this machine
    None,
    /// IAM credentials over TLS: Amazon MSK
    #[value(alias = "msk_iam")]
    MskIam,
}

/// The records to redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All, or all of one topic.
    All(Option<Topic>),
    Positions(Vec<Position>),
}

impl RunOptions {
    /// # Errors
    /// If no record is selected.
    pub(crate) fn selection(&self) -> Result<Selection, &'static str> {
        match (self.all, self.positions.as_slice()) {
            (true, _) => Ok(Selection::All(self.topic)),
            (false, []) => Err(NO_SELECTION),
            (false, positions) => Ok(Selection::Positions(positions.to_vec())),
        }
    }
}

fn topic(name: &str) -> Result<Topic, String> {
    let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    Topic::from_name(name).ok_or_else(|| format!("give one of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<RunOptions, clap::Error> {
        let words = ["redrive", "run", "--kafka", "b:1"].iter().chain(arguments);
        let RedriveCommand::Run(options) = RedriveOptions::try_parse_from(words)?.command else {
            panic!("{arguments:?}")
        };
        Ok(options)
    }

    fn selection(arguments: &[&str]) -> Result<Selection, &'static str> {
        run(arguments).unwrap().selection()
    }

    #[test]
    fn nothing_is_redriven_unless_selected() {
        assert_eq!(selection(&[]), Err(NO_SELECTION));
        assert_eq!(selection(&["--topic", "order.failed"]), Err(NO_SELECTION));
        assert_eq!(selection(&["--dry-run"]), Err(NO_SELECTION));
    }

    #[test]
    fn records_are_selected_together_by_topic_or_by_position() {
        assert_eq!(selection(&["--all"]), Ok(Selection::All(None)));
        let failed = Selection::All(Some(Topic::OrderFailed));
        assert_eq!(selection(&["--all", "--topic", "order.failed"]), Ok(failed));
        let positions = ["order.created/0/17", "order.failed/2/0"];
        let selected = positions.map(|position| position.parse().unwrap()).to_vec();
        assert_eq!(selection(&positions), Ok(Selection::Positions(selected)));
    }

    #[test]
    fn a_contradictory_selection_is_rejected() {
        for wrong in [
            &["--all", "order.created/0/17"][..],
            &["--topic", "order.created", "order.created/0/17"],
            &["--all", "--topic", "order.dead-letter"],
            &["order.created"],
        ] {
            assert!(run(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn authentication_is_also_accepted_as_the_functions_spell_it() {
        for (text, expected) in [
            ("none", AuthChoice::None),
            ("NONE", AuthChoice::None),
            ("msk-iam", AuthChoice::MskIam),
            ("MSK_IAM", AuthChoice::MskIam),
        ] {
            let options = run(&["--all", "--auth", text]).unwrap();
            assert_eq!(options.brokers.auth, expected);
        }
    }
}
