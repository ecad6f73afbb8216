//! Command line of the local run.

mod parsers;
mod soak;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use emulator::aws_settings::AwsSettings;
use emulator::stack::StackOptions;
use secrecy::{ExposeSecret, SecretString};
use terminal::{Parsed, UsageError};

use parsers::{VariableParser, folder, orders, processes, url};
pub(crate) use soak::SoakOptions;

/// Any fixed number: two runs without `--seed` send the same orders.
const DEFAULT_SEED: u64 = 20_260_206;

const PROGRAM: &str = "cargo run --";

/// Variables that name servers, each with its option.
const SERVERS: [(&str, &str); 2] =
    [("KAFKA_BOOTSTRAP_SERVERS", "--kafka"), ("AWS_ENDPOINT_URL_DYNAMODB", "--dynamodb")];

#[derive(Debug, Parser)]
#[command(
    name = "local",
    bin_name = PROGRAM,
    version,
    about = "Runs the order workflow on this machine: the functions, a Kafka broker and DynamoDB",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: DemoOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send orders through the whole workflow and check the books (the default)
    Demo(DemoOptions),
    /// Send orders for minutes while everything fails at random times, then check the books
    Soak(SoakOptions),
    /// Keep the workflow running, with a page that shows and sends orders
    Up(UpOptions),
    /// Make an event file: read events from standard input, print the Lambda event with their records
    Event(EventOptions),
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Number of orders
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = orders)]
    pub(crate) orders: u64,
    /// The same seed makes the same orders
    #[arg(long, value_name = "S", default_value_t = DEFAULT_SEED)]
    pub(crate) seed: u64,
    /// Read the orders from this file, one `OrderCreated` payload per line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["orders", "seed"])]
    pub(crate) file: Option<PathBuf>,
    /// Kill no function process, and leave the embedded broker up
    #[arg(long)]
    pub(crate) calm: bool,
    /// Write the books to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Port of the HTTP API; 0 selects a free port
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[command(flatten)]
    common: CommonOptions,
}

/// Options of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// Port of the page and the HTTP API; 0 selects a free port
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Keep the orders in this folder, and go on with those that it has
    #[arg(long, value_name = "FOLDER", conflicts_with = "dynamodb", value_parser = PathBufValueParser::new().try_map(folder))]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    common: CommonOptions,
}

/// Options of `event`.
#[derive(Debug, Args)]
pub(crate) struct EventOptions {
    /// The function that reads the records, such as validator
    pub(crate) function: String,
}

#[derive(Debug, Args)]
struct CommonOptions {
    /// Use this Kafka broker instead of the embedded one
    #[arg(long, value_name = "HOST:PORT", env = "KAFKA_BOOTSTRAP_SERVERS", hide_env_values = true, value_parser = kafka::bootstrap_servers)]
    kafka: Option<String>,
    /// Use this DynamoDB instead of the embedded one
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB", hide_env_values = true, value_parser = url)]
    dynamodb: Option<String>,
    /// Invoke the functions at this URL, such as that of `cargo lambda watch`
    #[arg(long, value_name = "URL", value_parser = url)]
    lambda: Option<String>,
    /// The SAM template [default: template.yaml of this folder or a parent]
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Maximum number of processes per function
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = processes)]
    processes: usize,
    /// Run the binaries in this folder instead of building the functions
    #[arg(long, value_name = "FOLDER")]
    function_dir: Option<PathBuf>,
    /// Set this variable of the functions; NAME alone takes its value from the environment
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = VariableParser)]
    env: Vec<(String, SecretString)>,
    /// Write every event to this folder, for SQL, as Firehose writes them to S3
    #[arg(long, value_name = "FOLDER", value_parser = PathBufValueParser::new().try_map(folder))]
    archive: Option<PathBuf>,
}

/// Parses the command line, the program's name first.
pub(crate) fn parse(
    arguments: impl Iterator<Item = OsString>,
) -> Result<Parsed<Command>, UsageError> {
    let arguments: Vec<_> = arguments.collect();
    check_servers(&arguments, |name| env::var(name).ok())?;
    Ok(match terminal::parse::<Cli>(arguments.into_iter(), PROGRAM)? {
        Parsed::Run(cli) => Parsed::Run(cli.command.unwrap_or(Command::Demo(cli.demo))),
        Parsed::Help(text) => Parsed::Help(text),
    })
}

/// Rejects servers on other machines that only the environment names: a shell that is set up for a
/// cluster must not send it a thousand orders.
fn check_servers(
    arguments: &[OsString],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), UsageError> {
    for (name, option) in SERVERS {
        let is_option = |argument: &OsString| {
            let argument = argument.to_string_lossy();
            argument.split('=').next() == Some(option)
        };
        let is_elsewhere = variable(name).is_some_and(|value| !is_local(&value));
        if is_elsewhere && !arguments.iter().any(is_option) {
            let message = format!(
                "{name} names servers on another machine (pass {option} \"${name}\" to use them, \
                 or unset {name})"
            );
            return Err(UsageError::new(message, PROGRAM));
        }
    }
    Ok(())
}

/// True if all servers of a list, or the one of a URL, are on this machine.
fn is_local(servers: &str) -> bool {
    servers.split(',').all(|server| {
        let host = server.trim().rsplit("://").next().unwrap_or_default();
        ["127.", "localhost", "[::1]", "::1"].iter().any(|local| host.starts_with(local))
    })
}

impl DemoOptions {
    pub(crate) fn stack(&self) -> StackOptions {
        self.common.stack(self.port)
    }

    pub(crate) fn archive(&self) -> Option<&Path> {
        self.common.archive.as_deref()
    }
}

impl UpOptions {
    pub(crate) fn stack(&self) -> StackOptions {
        self.common.stack(self.port)
    }

    pub(crate) fn archive(&self) -> Option<&Path> {
        self.common.archive.as_deref()
    }
}

impl CommonOptions {
    fn stack(&self, port: u16) -> StackOptions {
        let template = self.template.clone().unwrap_or_else(default_template);
        // The embedded database accepts any credentials, so real ones are not read for it.
        let aws = match &self.dynamodb {
            Some(_) => AwsSettings::from_environment(|name| env::var(name).ok()),
            None => AwsSettings::default(),
        };
        StackOptions {
            template,
            kafka: self.kafka.clone(),
            dynamodb: self.dynamodb.clone(),
            lambda: self.lambda.clone(),
            port,
            processes: self.processes,
            function_dir: self.function_dir.clone(),
            function_env: self.env.clone(),
            allowed_origins: allowed_origins(&self.env),
            aws,
            ..StackOptions::default()
        }
    }
}

/// The origins whose pages order-api answers, so that they may send requests too.
fn allowed_origins(variables: &[(String, SecretString)]) -> Vec<String> {
    let named = variables.iter().filter(|(name, _)| name == "CORS_ALLOWED_ORIGINS");
    let origins = named.flat_map(|(_, origins)| origins.expose_secret().split(','));
    origins.map(|it| it.trim().to_owned()).collect()
}

/// The root of the template's workspace: the folder of the template.
pub(crate) fn workspace(template: &Path) -> PathBuf {
    template.parent().unwrap_or(template).to_owned()
}

pub(crate) fn default_template() -> PathBuf {
    // Without a current folder, that of the program's workspace.
    template_of(&env::current_dir().unwrap_or_default())
}

/// The template of the nearest of this folder and its parents that has one, or of the workspace that
/// this program was built in.
fn template_of(folder: &Path) -> PathBuf {
    const TEMPLATE: &str = "template.yaml";
    if folder.join(TEMPLATE).is_file() {
        return PathBuf::from(TEMPLATE);
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = folder.ancestors().chain(package.ancestors()).map(|it| it.join(TEMPLATE));
    found.find(|template| template.is_file()).unwrap_or_else(|| PathBuf::from(TEMPLATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Parsed<Command>, UsageError> {
        let words = std::iter::once("local").chain(arguments.iter().copied());
        super::parse(words.map(OsString::from))
    }

    fn demo(arguments: &[&str]) -> DemoOptions {
        match parse(arguments) {
            Ok(Parsed::Run(Command::Demo(options))) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_demo_is_the_default_command() {
        assert_eq!(demo(&[]).orders, demo(&["demo"]).orders);
        assert_eq!(demo(&["--orders", "5"]).orders, 5);
        assert_eq!(demo(&["demo", "--orders", "5", "--port", "8080"]).stack().port, 8080);
    }

    #[test]
    fn up_listens_on_port_3000_by_default() {
        let Ok(Parsed::Run(Command::Up(options))) = parse(&["up"]) else { panic!() };
        assert_eq!(options.stack().port, 3000);
        assert_eq!(options.stack().processes, 2);
    }

    #[test]
    fn the_template_is_found_from_any_folder_of_the_workspace() {
        let workspace = tempfile::tempdir().unwrap();
        let package = workspace.path().join("functions/validator");
        std::fs::create_dir_all(&package).unwrap();
        let template = workspace.path().join("template.yaml");
        std::fs::write(&template, "").unwrap();
        assert_eq!(template_of(&package), template);
        assert_eq!(template_of(workspace.path()), PathBuf::from("template.yaml"));
        // Elsewhere, that of the workspace in which this program was built.
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(template_of(elsewhere.path()).is_file());
    }

    #[test]
    fn a_variable_of_the_functions_is_passed_on() {
        let options = demo(&["demo", "--env", "CURRENCY=EUR", "--env", "RUST_LOG=debug"]);
        let variables = options.stack().function_env;
        assert_eq!(
            variables.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(),
            ["CURRENCY", "RUST_LOG"]
        );
    }

    #[test]
    fn the_value_of_a_variable_is_not_shown() {
        let options = demo(&["demo", "--env", "STRIPE_API_KEY=sk_live_1"]);
        let shown = format!("{options:?} {:?}", options.stack());
        assert!(shown.contains("STRIPE_API_KEY") && !shown.contains("sk_live_1"), "{shown}");
        let message = parse(&["up", "--env", "STRIPE-API-KEY=sk_live_1"]).unwrap_err().to_string();
        assert!(message.contains("--env") && !message.contains("sk_live_1"), "{message}");
    }

    #[test]
    fn a_usage_error_is_one_line() {
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
            let message = parse(&wrong).unwrap_err().to_string();
            assert!(!message.contains('\n') && !message.starts_with("error"), "{message}");
            assert!(wrong.iter().any(|word| message.contains(word)), "{message}");
        }
    }

    #[test]
    fn a_file_in_place_of_a_folder_is_a_usage_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for arguments in
            [["up", "--keep", path], ["up", "--archive", path], ["demo", "--archive", path]]
        {
            let message = parse(&arguments).unwrap_err().to_string();
            let expected = [path, arguments[1], "it is not a folder (use a folder;"];
            assert!(expected.iter().all(|text| message.contains(text)), "{message}");
        }
        let missing = format!("{path}-missing");
        assert!(parse(&["up", "--keep", &missing, "--archive", "/"]).is_ok());
    }

    #[test]
    fn a_misspelled_command_gets_a_suggestion() {
        let message = parse(&["dmo"]).unwrap_err().to_string();
        assert!(message.contains("did you mean 'demo'?") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn orders_are_generated_or_read_from_a_file() {
        let message = parse(&["demo", "--file", "a.jsonl", "--orders", "3"]).unwrap_err();
        assert!(message.to_string().contains("cannot be used with"), "{message}");
    }

    #[test]
    fn servers_elsewhere_are_used_only_if_the_command_line_names_them() {
        let check = |arguments: &[&str], servers: &str| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            let servers = |name: &str| (name == "KAFKA_BOOTSTRAP_SERVERS").then(|| servers.into());
            check_servers(&arguments, servers).map_err(|error| error.to_string())
        };
        for local in ["127.0.0.1:9092", "localhost:9092,127.0.0.1:9093", "[::1]:9092"] {
            assert_eq!(check(&["local"], local), Ok(()), "{local}");
        }
        let cluster = "b-1.orders:9098,127.0.0.1:9092";
        let message = check(&["local", "up"], cluster).unwrap_err();
        assert!(message.contains("pass --kafka \"$KAFKA_BOOTSTRAP_SERVERS\""), "{message}");
        for option in ["--kafka=b-1.orders:9098", "--kafka"] {
            assert_eq!(check(&["local", "up", option, "b"], cluster), Ok(()), "{option}");
        }
    }
}
