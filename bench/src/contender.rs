//! A contender: the command line and environment of a Runtime API client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::{self, Options};
use crate::error::Result;
use crate::report::progress;
use crate::servers::{BARE_TABLE, BARE_TOPIC, Servers};
use crate::stage::Stage;

struct Peer {
    folder: &'static str,
    language: &'static str,
    /// `KafkaJS` finds no controller in librdkafka's mock cluster.
    works_with_embedded_broker: bool,
}

const PEERS: [Peer; 2] = [
    Peer { folder: "python", language: "Python", works_with_embedded_broker: true },
    Peer { folder: "node", language: "Node.js", works_with_embedded_broker: false },
];
const PEERS_DIRECTORY: &str = "bench/peers";
const INSTALLED_PEERS_DIRECTORY: &str = "target/peers";

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

    /// The same stage in other languages, if installed and compatible with the broker.
    pub(crate) fn peers(options: &Options, servers: &Servers, stage: Stage) -> Result<Vec<Self>> {
        let included = PEERS.iter().filter(|peer| peer.is_installed() && peer.works_with(options));
        included
            .map(|peer| {
                Ok(Self {
                    name: format!("{} in {}", stage.name(), peer.language),
                    program: Path::new(PEERS_DIRECTORY).join(peer.folder).join("run"),
                    arguments: vec![stage.binary().to_owned()],
                    environment: servers.environment(stage.binary())?,
                })
            })
            .collect()
    }

    /// The same contender with another database.
    pub(crate) fn with_database(mut self, url: &str) -> Self {
        self.environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url.to_owned());
        self
    }
}

impl Peer {
    fn is_installed(&self) -> bool {
        Path::new(INSTALLED_PEERS_DIRECTORY).join(self.folder).is_dir()
            && Path::new(PEERS_DIRECTORY).join(self.folder).join("run").is_file()
    }

    fn works_with(&self, options: &Options) -> bool {
        options.kafka.is_some() || self.works_with_embedded_broker
    }
}

/// Prints the omitted peers, and how to include them.
pub(crate) fn announce_peers(options: &Options) {
    if !options.peers {
        progress("peers are skipped (run bench/peers/install once, then add --peers)");
        return;
    }
    for peer in PEERS {
        let language = peer.language;
        if !peer.is_installed() {
            progress(&format!("{language} is skipped: not installed (run bench/peers/install)"));
        } else if !peer.works_with(options) {
            progress(&format!(
                "{language} is skipped: it requires a real broker (scripts/with-real-servers)"
            ));
        }
    }
}
