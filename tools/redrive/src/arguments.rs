//! The command line of `redrive`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::options::{ListOptions, RunOptions};

/// Arguments of `redrive`.
#[derive(Debug, Parser)]
#[command(
    name = "redrive",
    bin_name = "cargo run --bin redrive --",
    version,
    about = "Lists dead letters and publishes their records on their topics again.",
    arg_required_else_help = false
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the dead letters: cause, age, position
    List(ListArguments),
    /// Publish records on their topics again, unchanged and once
    Run(RunArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) options: ListOptions,
    #[command(flatten)]
    pub(crate) brokers: BrokerOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) options: RunOptions,
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
    /// What the names of the topics begin with: the stack's parameter `TopicPrefix`
    #[arg(long, value_name = "TEXT", env = "TOPIC_PREFIX", default_value = "")]
    pub(crate) topic_prefix: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthChoice {
    /// No authentication: brokers on this machine
    None,
    /// IAM credentials over TLS: Amazon MSK
    #[value(alias = "msk_iam")]
    MskIam,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_is_also_accepted_as_the_functions_spell_it() {
        for (text, expected) in [
            ("none", AuthChoice::None),
            ("NONE", AuthChoice::None),
            ("msk-iam", AuthChoice::MskIam),
            ("MSK_IAM", AuthChoice::MskIam),
        ] {
            let words = ["redrive", "list", "--kafka", "b:1", "--auth", text];
            let Command::List(list) = Arguments::try_parse_from(words).unwrap().command else {
                panic!("{text}")
            };
            assert_eq!(list.brokers.auth, expected);
        }
    }
}
