//! A contender: a command line and environment that speaks to the Runtime API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::{self, Options};
use crate::error::Result;
use crate::report::progress;
use crate::servers::{BARE_TABLE, BARE_TOPIC, Servers};
use crate::stage::Stage;

/// Where the peers are installed, and what each is called in the tables.
const PEERS: [(&str, &str); 2] = [("python", "Python"), ("node", "Node.js")];
const PEERS_DIRECTORY: &str = "bench/peers";
const INSTALLED_PEERS_DIRECTORY: &str = "target/peers";

/// What is run and measured.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Contender {
    /// The function of a stage.
    pub(crate) fn function(options: &Options, servers: &Servers, stage: Stage) -> Result<Self> {
        Ok(Self {
            name: stage.name().to_owned(),
            program: options.executable(stage.binary())?,
            arguments: Vec::new(),
            environment: servers.environment(stage.binary())?,
        })
    }

    /// The bare loops, as children of this program.
    pub(crate) fn bare(servers: &Servers) -> Result<[Self; 2]> {
        let program = cli::own_path()?;
        let mut environment = servers.client_environment();
        environment.insert("BENCH_TABLE".to_owned(), BARE_TABLE.to_owned());
        environment.insert("BENCH_TOPIC".to_owned(), BARE_TOPIC.to_owned());
        Ok(["bare-single", "bare-batch"].map(|name| Self {
            name: name.to_owned(),
            program: program.clone(),
            arguments: vec![name.to_owned()],
            environment: environment.clone(),
        }))
    }

    /// The same stage in other languages, where they are installed.
    pub(crate) fn peers(servers: &Servers, stage: Stage) -> Result<Vec<Self>> {
        let installed = PEERS.iter().filter(|(folder, _)| {
            Path::new(INSTALLED_PEERS_DIRECTORY).join(folder).is_dir()
                && Path::new(PEERS_DIRECTORY).join(folder).join("run").is_file()
        });
        installed
            .map(|(folder, language)| {
                Ok(Self {
                    name: format!("{} in {language}", stage.name()),
                    program: Path::new(PEERS_DIRECTORY).join(folder).join("run"),
                    arguments: vec![stage.binary().to_owned()],
                    environment: servers.environment(stage.binary())?,
                })
            })
            .collect()
    }

    /// The same contender before another database.
    pub(crate) fn with_database(mut self, url: &str) -> Self {
        self.environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url.to_owned());
        self
    }
}

/// Says how to include the peers where they are not.
pub(crate) fn announce_peers(options: &Options) {
    let is_installed =
        PEERS.iter().any(|(folder, _)| Path::new(INSTALLED_PEERS_DIRECTORY).join(folder).is_dir());
    match (options.peers, is_installed) {
        (true, true) => {}
        (true, false) => progress("peers are not installed: run bench/peers/install first"),
        (false, _) => progress("peers are left out: bench/peers/install, then --peers"),
    }
}
