//! The servers and tables to read: those of the options, or those of a running `cargo run -- up`.

use std::{collections::BTreeMap, env, fs, path::PathBuf, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::{Client, config::Region};
use contracts::TopicNames;
use jiff::Timestamp;
use kafka::{Auth, Brokers, MskIam};
use local_runs::EVENTS_SINCE;
use terminal::{ExitError, Terminal};

use crate::{
    options::{AuditOptions, AuthChoice, ServerOptions, timestamp},
    reader::Cluster,
    tables::{TableNames, Tables},
};

#[derive(Debug, thiserror::Error)]
enum NoServers {
    #[error(
        "no tables given, and `cargo run -- up` is not running here: give --orders-table, or \
         start `cargo run -- up` in another terminal"
    )]
    NotRunning,
    #[error(
        "{0} runs of `cargo run -- up` are running here: set the variables of one of them, such \
         as `set -a; . target/stack.env; set +a`"
    )]
    Several(usize),
    #[error(
        "cannot read the settings of `cargo run -- up` in {}: {cause} (restart it)",
        path.display()
    )]
    Unreadable { path: PathBuf, cause: String },
    #[error("no brokers given: give --kafka HOST:PORT, or --no-topics")]
    NoBrokers,
    #[error("EVENTS_SINCE is malformed: {0}")]
    EventsSince(String),
}

/// What to read.
pub(crate) struct Servers {
    pub(crate) tables: Tables,
    /// `None` with `--no-topics`.
    pub(crate) cluster: Option<Cluster>,
    /// Events before this time are not expected on the topics.
    pub(crate) events_since: Option<Timestamp>,
}

/// Connects to the servers of the options.
pub(crate) async fn connect(
    options: &AuditOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<Servers, ExitError> {
    let servers = &options.servers;
    let local = match servers.orders_table {
        Some(_) => BTreeMap::new(),
        None => local_settings(terminal).map_err(ExitError::start)?,
    };
    let setting = |given: &Option<String>, name: &str| {
        given.clone().or_else(|| local.get(name).cloned()).filter(|text| !text.is_empty())
    };
    let names = TableNames {
        orders: setting(&servers.orders_table, "ORDERS_TABLE").unwrap_or_default(),
        stock: setting(&servers.stock_table, "STOCK_TABLE").unwrap_or_default(),
        accounts: setting(&servers.accounts_table, "ACCOUNTS_TABLE"),
    };
    let aws = aws_config(&local).await;
    let (client, database) = database(&aws);
    let tables = Tables::new(client, database, names, options.segments);
    let kafka = setting(&servers.kafka, "KAFKA_BOOTSTRAP_SERVERS");
    let cluster = match kafka {
        _ if options.no_topics => None,
        None => return Err(ExitError::start(NoServers::NoBrokers)),
        Some(bootstrap_servers) => {
            let brokers = Brokers { bootstrap_servers, auth: auth(servers, &aws, clock).await? };
            Some(Cluster { brokers, topics: TopicNames::with_prefix(&servers.topic_prefix) })
        }
    };
    let events_since = match options.events_since {
        Some(since) => Some(since),
        None => local_events_since(&local).map_err(ExitError::start)?,
    };
    Ok(Servers { tables, cluster, events_since })
}

/// The time since when the topics of a local run have events, from its settings or, where these are
/// set as variables, from the environment.
fn local_events_since(local: &BTreeMap<String, String>) -> Result<Option<Timestamp>, NoServers> {
    let since = local.get(EVENTS_SINCE).cloned().or_else(|| env::var(EVENTS_SINCE).ok());
    since.as_deref().map(timestamp).transpose().map_err(NoServers::EventsSince)
}

async fn auth(
    servers: &ServerOptions,
    aws: &SdkConfig,
    clock: fn() -> Timestamp,
) -> Result<Auth, ExitError> {
    match servers.auth {
        AuthChoice::None => Ok(Auth::None),
        AuthChoice::MskIam => MskIam::new(aws, servers.ca_file.clone(), clock)
            .await
            .map(Auth::MskIam)
            .map_err(ExitError::start),
    }
}

/// The SDK's configuration, with the endpoint, region and credentials of a local run.
async fn aws_config(local: &BTreeMap<String, String>) -> SdkConfig {
    let time_limits = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(30))
        .build();
    // A scan may be throttled until its table has more capacity.
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(time_limits)
        .retry_config(RetryConfig::standard().with_max_attempts(8));
    if let Some(endpoint) = local.get("AWS_ENDPOINT_URL_DYNAMODB") {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = local.get("AWS_REGION") {
        loader = loader.region(Region::new(region.clone()));
    }
    if let [Some(id), Some(secret)] =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| local.get(name))
    {
        let credentials = Credentials::new(id, secret, None, None, "local run");
        loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
    }
    loader.load().await
}

/// The client of DynamoDB, and DynamoDB with its endpoint or region, for errors.
fn database(aws: &SdkConfig) -> (Client, String) {
    let endpoint = aws.endpoint_url().map(ToOwned::to_owned);
    let endpoint = endpoint.or_else(|| env::var("AWS_ENDPOINT_URL_DYNAMODB").ok());
    let mut config = aws_sdk_dynamodb::config::Builder::from(aws);
    // The SDK's own client would use a proxy that the environment names.
    if endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) {
        config.set_http_client(Some(aws_smithy_http_client::Builder::new().build_http()));
    }
    let database = match (endpoint, aws.region()) {
        (Some(url), _) => format!("DynamoDB at {url}"),
        (None, Some(region)) => format!("DynamoDB in {region}"),
        (None, None) => "DynamoDB".to_owned(),
    };
    (Client::from_conf(config.build()), database)
}

/// The settings of the run in the nearest of the current folder and its parents that has one.
fn local_settings(terminal: &Terminal) -> Result<BTreeMap<String, String>, NoServers> {
    let unreadable = |path: PathBuf, cause: std::io::Error| NoServers::Unreadable {
        path,
        cause: cause.to_string(),
    };
    let folder = env::current_dir().map_err(|error| unreadable(PathBuf::from("."), error))?;
    for workspace in folder.ancestors() {
        let found =
            local_runs::find(workspace).map_err(|error| unreadable(workspace.to_owned(), error))?;
        let running = found.into_iter().filter(|run| run.is_running);
        let files: Vec<PathBuf> = running.filter_map(|run| run.settings).collect();
        match &files[..] {
            [] => {}
            [file] => {
                let text =
                    fs::read_to_string(file).map_err(|error| unreadable(file.clone(), error))?;
                terminal.eprintln(&format!("auditing `cargo run -- up` ({})", file.display()));
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                return Ok(pairs.map(|(name, it)| (name.to_owned(), it.to_owned())).collect());
            }
            several => return Err(NoServers::Several(several.len())),
        }
    }
    Err(NoServers::NotRunning)
}
