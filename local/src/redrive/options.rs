//! Options of `redrive`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use contracts::Topic;

use super::position::Position;
use crate::values;

const NO_KAFKA: &str = "say where the brokers are: --kafka HOST:PORT, such as the Kafka address that \
     `cargo run -- up` prints; or read its settings first: set -a; . target/stack.env; set +a";
const NO_CHOICE: &str = "say what to put back: --all, or positions such as order.created/0/17, as \
     `cargo run -- redrive list` prints them";

/// Options of `redrive`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = false)]
pub(crate) struct RedriveOptions {
    #[command(subcommand)]
    pub(crate) command: RedriveCommand,
}

/// What there is to do about the dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum RedriveCommand {
    /// Show what lies on order.dead-letter: why, how old, from where
    List(ListOptions),
    /// Put records back on their topics, as they were, once
    PutBack(PutBackOptions),
}

/// Options of `redrive list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only what was given up from this topic
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    pub(crate) topic: Option<Topic>,
    #[command(flatten)]
    pub(crate) brokers: BrokerOptions,
}

/// Options of `redrive put-back`.
#[derive(Debug, Args)]
pub(crate) struct PutBackOptions {
    /// The records to put back, as `redrive list` prints them
    #[arg(value_name = "TOPIC/PARTITION/OFFSET", conflicts_with_all = ["all", "topic"])]
    positions: Vec<Position>,
    /// Put back every record that waits
    #[arg(long)]
    all: bool,
    /// Of all, only what was given up from this topic
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    topic: Option<Topic>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) brokers: BrokerOptions,
}

/// Where the brokers are, and who signs in.
#[derive(Debug, Args)]
pub(crate) struct BrokerOptions {
    /// The brokers that the workflow runs on
    #[arg(long, value_name = "HOST:PORT", env = "KAFKA_BOOTSTRAP_SERVERS", value_parser = values::brokers)]
    kafka: Option<String>,
    /// How to sign in there; msk-iam takes region and credentials as the AWS CLI does
    #[arg(long, env = "KAFKA_SIGN_IN", value_enum, ignore_case = true, default_value = "none")]
    pub(crate) sign_in: SignInChoice,
    /// Trust these certificates instead of the system's
    #[arg(long, value_name = "FILE", env = "KAFKA_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How to sign in at the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignInChoice {
    /// Not at all: brokers on this machine
    None,
    /// With IAM credentials, over TLS: Amazon MSK
    #[value(alias = "msk_iam")]
    MskIam,
}

/// Which records are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Every one, or every one of a topic.
    All(Option<Topic>),
    /// Those that come from these positions.
    Positions(Vec<Position>),
}

impl PutBackOptions {
    /// Which records to put back.
    ///
    /// # Errors
    /// What to say instead of nothing.
    pub(crate) fn choice(&self) -> Result<Choice, &'static str> {
        match (self.all, self.positions.as_slice()) {
            (true, _) => Ok(Choice::All(self.topic)),
            (false, []) => Err(NO_CHOICE),
            (false, positions) => Ok(Choice::Positions(positions.to_vec())),
        }
    }
}

impl BrokerOptions {
    /// Where the brokers are.
    ///
    /// # Errors
    /// What to say instead of nothing.
    pub(crate) fn servers(&self) -> Result<&str, &'static str> {
        self.kafka.as_deref().ok_or(NO_KAFKA)
    }
}

fn topic(name: &str) -> Result<Topic, String> {
    let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    Topic::from_name(name).ok_or_else(|| format!("give one of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        redrive: RedriveOptions,
    }

    fn put_back(arguments: &[&str]) -> Result<PutBackOptions, clap::Error> {
        let words = ["redrive", "put-back", "--kafka", "b:1"].iter().chain(arguments);
        let RedriveCommand::PutBack(options) = Line::try_parse_from(words)?.redrive.command else {
            panic!("{arguments:?}")
        };
        Ok(options)
    }

    fn choice(arguments: &[&str]) -> Result<Choice, &'static str> {
        put_back(arguments).unwrap().choice()
    }

    #[test]
    fn nothing_is_put_back_that_was_not_chosen() {
        assert_eq!(choice(&[]), Err(NO_CHOICE));
        assert_eq!(choice(&["--topic", "order.failed"]), Err(NO_CHOICE));
        assert_eq!(choice(&["--dry-run"]), Err(NO_CHOICE));
    }

    #[test]
    fn records_are_chosen_all_together_by_topic_or_one_by_one() {
        assert_eq!(choice(&["--all"]), Ok(Choice::All(None)));
        let failed = Choice::All(Some(Topic::OrderFailed));
        assert_eq!(choice(&["--all", "--topic", "order.failed"]), Ok(failed));
        let positions = ["order.created/0/17", "order.failed/2/0"];
        let chosen = positions.map(|position| position.parse().unwrap()).to_vec();
        assert_eq!(choice(&positions), Ok(Choice::Positions(chosen)));
    }

    #[test]
    fn a_choice_that_contradicts_itself_is_refused() {
        for wrong in [
            &["--all", "order.created/0/17"][..],
            &["--topic", "order.created", "order.created/0/17"],
            &["--all", "--topic", "order.dead-letter"],
            &["order.created"],
        ] {
            assert!(put_back(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_sign_in_is_named_as_here_or_as_the_functions_name_it() {
        for (text, expected) in [
            ("none", SignInChoice::None),
            ("NONE", SignInChoice::None),
            ("msk-iam", SignInChoice::MskIam),
            ("MSK_IAM", SignInChoice::MskIam),
        ] {
            let options = put_back(&["--all", "--sign-in", text]).unwrap();
            assert_eq!(options.brokers.sign_in, expected);
        }
    }
}
