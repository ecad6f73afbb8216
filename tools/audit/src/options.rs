//! Options of `audit`.

use std::path::{Path, PathBuf};

use clap::{
    Parser, ValueEnum,
    builder::{PathBufValueParser, TypedValueParser as _},
};
use jiff::{SignedDuration, Timestamp};

/// Options of `audit`.
#[derive(Debug, Parser)]
#[command(
    name = "audit",
    bin_name = "cargo run --bin audit --",
    version,
    about = "Checks the books of a running order workflow: rows, stock, balances, topics, payments. \
             Reads only."
)]
pub(crate) struct AuditOptions {
    /// The stock and the balances to compare with: a file that --save wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) opening: Option<PathBuf>,
    /// Save the stock and the balances for a later --opening, if the books balance
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(new_file))]
    pub(crate) save: Option<PathBuf>,
    /// An order that is open for longer is listed; one that should have ended is damage
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(crate) open_for: SignedDuration,
    /// Do not read the topics
    #[arg(long, conflicts_with = "events_since")]
    pub(crate) no_topics: bool,
    /// Events before this time are not expected on the topics, such as the time when the topics
    /// were created again [default: that of a running `cargo run -- up`]
    #[arg(long, value_name = "RFC 3339", value_parser = timestamp)]
    pub(crate) events_since: Option<Timestamp>,
    /// The time for which the topics keep events
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    pub(crate) retention: SignedDuration,
    /// Compare with the payments at Stripe of this time; needs `STRIPE_API_KEY`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) stripe: Option<SignedDuration>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Scans of the orders table that run at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub(crate) segments: i32,
    #[command(flatten)]
    pub(crate) servers: ServerOptions,
}

/// The servers and tables; without `--orders-table` those of a running `cargo run -- up`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerOptions {
    /// The table of the rows [default: that of a running `cargo run -- up`]
    #[arg(long, value_name = "TABLE", env = "ORDERS_TABLE", requires = "stock_table")]
    pub(crate) orders_table: Option<String>,
    /// The table of the stock
    #[arg(long, value_name = "TABLE", env = "STOCK_TABLE")]
    pub(crate) stock_table: Option<String>,
    /// The table of the balances; leave it out where all customers pay with Stripe
    #[arg(long, value_name = "TABLE", env = "ACCOUNTS_TABLE")]
    pub(crate) accounts_table: Option<String>,
    /// The brokers of the workflow
    #[arg(long, value_name = "HOST:PORT", env = "KAFKA_BOOTSTRAP_SERVERS", value_parser = kafka::bootstrap_servers)]
    pub(crate) kafka: Option<String>,
    /// The prefix of the topics' names: the stack's `TopicPrefix`
    #[arg(long, value_name = "PREFIX", env = "TOPIC_PREFIX", default_value = "")]
    pub(crate) topic_prefix: String,
    /// Authentication; msk-iam takes region and credentials as the AWS CLI does
    #[arg(long, env = "KAFKA_SIGN_IN", value_enum, ignore_case = true, default_value = "none")]
    pub(crate) auth: AuthChoice,
    /// Trust these certificates of brokers instead of the system's
    #[arg(long, value_name = "FILE", env = "KAFKA_CA_FILE")]
    pub(crate) ca_file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthChoice {
    /// No authentication: brokers on this machine
    None,
    /// IAM credentials over TLS: Amazon MSK
    #[value(alias = "msk_iam")]
    MskIam,
}

/// A file in a folder that exists: an error before the tables are read.
fn new_file(path: PathBuf) -> Result<PathBuf, &'static str> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.is_none_or(Path::is_dir) {
        true => Ok(path),
        false => Err("its folder does not exist (create it)"),
    }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    // A day has 24 hours here.
    let parsed = match text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
        Some(days) => Some(SignedDuration::from_hours(days.saturating_mul(24).min(1_000_000))),
        None => text.parse().ok(),
    };
    let parsed = parsed.filter(|it: &SignedDuration| !it.is_negative());
    parsed.ok_or_else(|| "give a time such as 90s, 30m, 12h or 7d".to_owned())
}

pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    contracts::parse_rfc3339(text)
        .ok_or_else(|| "give a time such as 2026-02-06T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_in_a_folder_that_exists() {
        for path in ["opening.json", "src/opening.json", "/opening.json"] {
            let path = PathBuf::from(path);
            assert_eq!(new_file(path.clone()), Ok(path));
        }
        assert!(new_file("missing/opening.json".into()).is_err());
    }

    #[test]
    fn times_are_read_with_their_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["30", "", "-1h", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
