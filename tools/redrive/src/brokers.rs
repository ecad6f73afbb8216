//! The brokers to read from and publish to: `--kafka`, or those of a running `cargo run -- up`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use contracts::TopicNames;
use jiff::Timestamp;
use kafka::{Auth, AuthError, Brokers, MskIam};
use terminal::{ExitError, Terminal};

use crate::arguments::{AuthChoice, BrokerOptions};
use crate::cluster::Cluster;

const BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS=";
const API_URL: &str = "HTTP_API_URL=";
const TOPIC_PREFIX: &str = "TOPIC_PREFIX=";

#[derive(Debug, thiserror::Error)]
enum NoBroker {
    #[error(
        "no Kafka broker given, and `cargo run -- up` is not running here: give --kafka HOST:PORT, \
         or start `cargo run -- up` in another terminal"
    )]
    NotRunning,
    #[error(
        "no Kafka broker given, and the `cargo run -- up` that wrote {} was killed: give \
         --kafka HOST:PORT, or start `cargo run -- up` in another terminal",
        settings.display()
    )]
    Killed { settings: PathBuf },
    #[error(
        "{} of `cargo run -- up` are running here: give the broker of one, {}",
        runs.len(),
        runs.iter().map(LocalRun::option).collect::<Vec<_>>().join(" or ")
    )]
    Several { runs: Vec<LocalRun> },
    #[error("--auth msk-iam needs the cluster's brokers: give --kafka HOST:PORT")]
    NotLocal,
    #[error(
        "cannot read the broker from {}: {cause} (restart `cargo run -- up`, or give --kafka)",
        path.display()
    )]
    Unreadable { path: PathBuf, cause: String },
}

/// A running `cargo run -- up`.
#[derive(Debug)]
struct LocalRun {
    settings: PathBuf,
    bootstrap_servers: String,
    api_url: Option<String>,
    topic_prefix: String,
}

/// Returns the brokers of these options; prints where they come from unless they were given.
pub(crate) async fn connect(
    options: &BrokerOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<Cluster, ExitError> {
    let mut prefix = options.topic_prefix.clone();
    let bootstrap_servers = match (&options.kafka, options.auth) {
        (Some(servers), _) => servers.clone(),
        (None, AuthChoice::MskIam) => return Err(ExitError::start(NoBroker::NotLocal)),
        (None, AuthChoice::None) => {
            let folder = env::current_dir().map_err(ExitError::start)?;
            let run = local_run(&folder).map_err(ExitError::start)?;
            let (servers, path) = (&run.bootstrap_servers, run.settings.display());
            terminal
                .eprintln(&format!("using the broker of `cargo run -- up`: {servers} ({path})"));
            prefix = run.topic_prefix;
            run.bootstrap_servers
        }
    };
    let auth = match options.auth {
        AuthChoice::None => Auth::None,
        AuthChoice::MskIam => {
            let certificates = options.ca_file.as_ref().map(|file| file.display().to_string());
            Auth::MskIam(msk_iam(certificates, clock).await.map_err(ExitError::start)?)
        }
    };
    let brokers = Brokers { bootstrap_servers, auth };
    Ok(Cluster { brokers, topics: TopicNames::with_prefix(&prefix) })
}

/// The run in the nearest of this folder and its parents that has one.
fn local_run(folder: &Path) -> Result<LocalRun, NoBroker> {
    let mut killed = None;
    for workspace in folder.ancestors() {
        let found = local_runs::find(workspace).map_err(|error| NoBroker::Unreadable {
            path: workspace.to_owned(),
            cause: error.to_string(),
        })?;
        let mut runs = Vec::new();
        for run in found {
            match run.settings {
                Some(settings) if run.is_running => runs.push(LocalRun::read(settings)?),
                Some(settings) => killed = killed.or(Some(settings)),
                None => {}
            }
        }
        if runs.len() > 1 {
            return Err(NoBroker::Several { runs });
        }
        if let Some(run) = runs.pop() {
            return Ok(run);
        }
    }
    Err(killed.map_or(NoBroker::NotRunning, |settings| NoBroker::Killed { settings }))
}

impl LocalRun {
    fn read(settings: PathBuf) -> Result<Self, NoBroker> {
        let unreadable =
            |cause: &str| NoBroker::Unreadable { path: settings.clone(), cause: cause.to_owned() };
        let text = fs::read_to_string(&settings).map_err(|error| unreadable(&error.to_string()))?;
        let value = |name: &'static str| text.lines().find_map(|line| line.strip_prefix(name));
        let servers = value(BOOTSTRAP_SERVERS)
            .ok_or_else(|| unreadable("KAFKA_BOOTSTRAP_SERVERS is missing"))?;
        let bootstrap_servers = kafka::bootstrap_servers(servers).map_err(unreadable)?;
        let api_url = value(API_URL).map(ToOwned::to_owned);
        let topic_prefix = value(TOPIC_PREFIX).unwrap_or_default().to_owned();
        Ok(Self { settings, bootstrap_servers, api_url, topic_prefix })
    }

    /// The option that selects it, and its page.
    fn option(&self) -> String {
        let page = self.api_url.as_ref().map(|url| format!(" (its page: {url})"));
        format!("--kafka {}{}", self.bootstrap_servers, page.unwrap_or_default())
    }
}

async fn msk_iam(
    certificates: Option<String>,
    clock: fn() -> Timestamp,
) -> Result<MskIam, AuthError> {
    let aws = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
    MskIam::new(&aws, certificates, clock).await
}

#[cfg(test)]
mod tests {
    use local_runs::Run;

    use super::*;

    fn read(settings: &str) -> Result<LocalRun, NoBroker> {
        let workspace = tempfile::tempdir().unwrap();
        let run = Run::start(workspace.path()).unwrap();
        run.publish(settings).unwrap();
        fs::create_dir_all(workspace.path().join("docs/images")).unwrap();
        local_run(&workspace.path().join("docs/images"))
    }

    #[test]
    fn the_run_is_found_from_any_folder_of_the_workspace() {
        let run = read("CURRENCY=EUR\nKAFKA_BOOTSTRAP_SERVERS=127.0.0.1:4711\nX=\n").unwrap();
        assert_eq!(run.bootstrap_servers, "127.0.0.1:4711");
        assert!(run.settings.ends_with("stack.env"), "{run:?}");
    }

    #[test]
    fn settings_without_a_broker_are_an_error() {
        for text in ["", "KAFKA_BOOTSTRAP_SERVERS=\n", "CURRENCY=EUR\n"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("cannot read the broker from "), "{error}");
        }
    }
}
