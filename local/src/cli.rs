//! What is the program asked to do? Every fault in the answer is one line that says what to change.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use local::aws_settings::AwsSettings;
use local::stack::StackOptions;

use crate::redrive::RedriveOptions;
use crate::values::{brokers, orders, processes, url, variable};

/// The seed of a run that names none: any fixed number makes two runs alike.
const DEFAULT_SEED: u64 = 20_260_206;

#[derive(Debug, Parser)]
#[command(
    name = "local",
    bin_name = "cargo run --",
    version,
    about = "Runs the order workflow on this machine: real functions, a Kafka broker, a DynamoDB.",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: DemoOptions,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send orders through the whole workflow and check the books (the default)
    Demo(DemoOptions),
    /// Keep the workflow running, to send it orders by hand and watch them on a page
    Up(UpOptions),
    /// See the records that were given up, and put them back on their topics
    Redrive(RedriveOptions),
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// How many orders to make
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = orders)]
    pub(crate) orders: u64,
    /// The same seed makes the same orders
    #[arg(long, value_name = "S", default_value_t = DEFAULT_SEED)]
    pub(crate) seed: u64,
    /// Take the orders from this file instead, one `OrderCreated` payload a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["orders", "seed"])]
    pub(crate) file: Option<PathBuf>,
    /// Port of the HTTP API; 0 takes any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[command(flatten)]
    common: CommonOptions,
}

/// Options of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// Port of the page and the HTTP API; 0 takes any that is free
    #[arg(long, default_value_t = 3000)]
    port: u16,
    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Debug, Args)]
struct CommonOptions {
    /// Use this Kafka broker instead of the embedded one
    #[arg(long, value_name = "HOST:PORT", env = "KAFKA_BOOTSTRAP_SERVERS", value_parser = brokers)]
    kafka: Option<String>,
    /// Use this DynamoDB instead of the embedded one
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB", value_parser = url)]
    dynamodb: Option<String>,
    /// Invoke the functions here instead of hosting them, such as at `cargo lambda watch`
    #[arg(long, value_name = "URL", value_parser = url)]
    lambda: Option<String>,
    /// The description of the workflow [default: template.yaml of this folder or the workspace]
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Most processes of one function
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = processes)]
    processes: usize,
    /// Take ready-made functions from this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    function_dir: Option<PathBuf>,
    /// Tell the functions this variable in place of the template's; NAME alone passes it on
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = variable)]
    env: Vec<(String, String)>,
}

/// What came of reading the command line.
#[derive(Debug)]
pub(crate) enum Reading {
    /// There is something to do.
    Asked(Command),
    /// Help or version was asked for, and this is it.
    Told(String),
}

/// Why the command line cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}; cargo run -- --help names all options")]
pub(crate) struct UsageError(String);

/// Reads the command line, the program's name first.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Reading, UsageError> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Reading::Asked(cli.command.unwrap_or(Command::Demo(cli.demo)))),
        Err(error) if error.use_stderr() => Err(UsageError(fault(&error))),
        Err(error) => Ok(Reading::Told(error.to_string().trim_end().to_owned())),
    }
}

/// What is wrong, without the usage that would follow after an empty line.
fn fault(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).trim_end_matches(':').to_owned()
}

impl DemoOptions {
    pub(crate) fn stack(&self) -> StackOptions {
        self.common.stack(self.port)
    }
}

impl UpOptions {
    pub(crate) fn stack(&self) -> StackOptions {
        self.common.stack(self.port)
    }
}

impl CommonOptions {
    fn stack(&self, port: u16) -> StackOptions {
        let template = self.template.clone().unwrap_or_else(default_template);
        // An embedded database takes any credentials; real ones have no business in it.
        let aws = match &self.dynamodb {
            Some(_) => AwsSettings::from_environment(|name| env::var(name).ok()),
            None => AwsSettings::default(),
        };
        StackOptions {
            log_dir: workspace(&template).join("target/local-logs"),
            template,
            kafka: self.kafka.clone(),
            dynamodb: self.dynamodb.clone(),
            lambda: self.lambda.clone(),
            port,
            processes: self.processes,
            function_dir: self.function_dir.clone(),
            function_env: self.env.clone(),
            aws,
            ..StackOptions::default()
        }
    }
}

/// The folder that a template lies in: the root of its workspace.
pub(crate) fn workspace(template: &Path) -> PathBuf {
    template.parent().unwrap_or(template).to_owned()
}

fn default_template() -> PathBuf {
    let here = PathBuf::from("template.yaml");
    if here.is_file() {
        return here;
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).join("template.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Reading, UsageError> {
        let words = std::iter::once("local").chain(arguments.iter().copied());
        super::read(words.map(OsString::from))
    }

    fn demo(arguments: &[&str]) -> DemoOptions {
        match read(arguments) {
            Ok(Reading::Asked(Command::Demo(options))) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_demo_is_what_is_done_when_nothing_is_asked_for() {
        assert_eq!(demo(&[]).orders, demo(&["demo"]).orders);
        assert_eq!(demo(&["--orders", "5"]).orders, 5);
        assert_eq!(demo(&["demo", "--orders", "5", "--port", "8080"]).stack().port, 8080);
    }

    #[test]
    fn what_stays_up_is_found_at_a_known_port() {
        let Ok(Reading::Asked(Command::Up(options))) = read(&["up"]) else { panic!() };
        assert_eq!(options.stack().port, 3000);
        assert_eq!(options.stack().processes, 2);
    }

    #[test]
    fn a_variable_of_the_functions_is_passed_on() {
        let options = demo(&["demo", "--env", "CURRENCY=EUR", "--env", "RUST_LOG=debug"]);
        let told = options.stack().function_env;
        assert_eq!(
            told.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(),
            ["CURRENCY", "RUST_LOG"]
        );
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for wrong in [
            ["demo", "--orders", "abc"],
            ["demo", "--orders", "0"],
            ["demo", "--seed", "-1"],
            ["up", "--port", "70000"],
            ["up", "--speed", "9"],
            ["up", "--env", "A B"],
            ["up", "--lambda", "localhost"],
            ["down", "--orders", "1"],
        ] {
            let message = read(&wrong).unwrap_err().to_string();
            assert!(!message.contains('\n') && !message.starts_with("error"), "{message}");
            assert!(wrong.iter().any(|word| message.contains(word)), "{message}");
        }
    }

    #[test]
    fn a_command_that_is_missing_is_offered() {
        let message = read(&["redrive"]).unwrap_err().to_string();
        assert!(message.contains("list, put-back") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn orders_are_made_or_read_but_not_both() {
        let message = read(&["demo", "--file", "a.jsonl", "--orders", "3"]).unwrap_err();
        assert!(message.to_string().contains("cannot be used with"), "{message}");
    }
}
