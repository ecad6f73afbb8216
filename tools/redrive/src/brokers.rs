//! The brokers to read from and publish to: `--kafka`, or those of a running `cargo run -- up`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use kafka::{Auth, AuthError, Brokers, MskIam};
use terminal::{ExitError, Terminal};

use crate::options::{AuthChoice, BrokerOptions};

/// Written by `cargo run -- up` once it runs, and removed at its end.
const STACK_FILE: &str = "target/stack.env";
const BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS=";

#[derive(Debug, thiserror::Error)]
enum NoBroker {
    #[error(
        "no Kafka broker given, and `cargo run -- up` is not running here: give --kafka HOST:PORT, \
         or start `cargo run -- up` in another terminal"
    )]
    NotRunning,
    #[error("--auth msk-iam needs the cluster's brokers: give --kafka HOST:PORT")]
    NotLocal,
    #[error(
        "cannot read the broker from {}: {cause} (restart `cargo run -- up`, or give --kafka)",
        path.display()
    )]
    Unreadable { path: PathBuf, cause: String },
}

/// Returns the brokers of these options; prints where they come from unless they were given.
pub(crate) async fn connect(
    options: &BrokerOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<Brokers, ExitError> {
    let bootstrap_servers = match (&options.kafka, options.auth) {
        (Some(servers), _) => servers.clone(),
        (None, AuthChoice::MskIam) => return Err(ExitError::start(NoBroker::NotLocal)),
        (None, AuthChoice::None) => {
            let folder = env::current_dir().map_err(ExitError::start)?;
            let (servers, path) = local_run(&folder).map_err(ExitError::start)?;
            let path = path.display();
            terminal
                .eprintln(&format!("using the broker of `cargo run -- up`: {servers} ({path})"));
            servers
        }
    };
    let auth = match options.auth {
        AuthChoice::None => Auth::None,
        AuthChoice::MskIam => {
            let certificates = options.ca_file.as_ref().map(|file| file.display().to_string());
            Auth::MskIam(msk_iam(certificates, clock).await.map_err(ExitError::start)?)
        }
    };
    Ok(Brokers { bootstrap_servers, auth })
}

/// The brokers in the nearest [`STACK_FILE`] of this folder and its parents, and the file's path.
fn local_run(folder: &Path) -> Result<(String, PathBuf), NoBroker> {
    for path in folder.ancestors().map(|parent| parent.join(STACK_FILE)) {
        let unreadable =
            |cause: &str| NoBroker::Unreadable { path: path.clone(), cause: cause.to_owned() };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&error.to_string())),
        };
        let servers = text.lines().find_map(|line| line.strip_prefix(BOOTSTRAP_SERVERS));
        let servers = servers.ok_or_else(|| unreadable("KAFKA_BOOTSTRAP_SERVERS is missing"))?;
        return Ok((kafka::bootstrap_servers(servers).map_err(unreadable)?, path));
    }
    Err(NoBroker::NotRunning)
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
    use super::*;

    fn with_stack_file(text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("target")).unwrap();
        fs::create_dir_all(root.path().join("docs/images")).unwrap();
        fs::write(root.path().join(STACK_FILE), text).unwrap();
        root
    }

    #[test]
    fn the_stack_file_is_found_from_any_folder_of_the_workspace() {
        let root = with_stack_file("CURRENCY=EUR\nKAFKA_BOOTSTRAP_SERVERS=127.0.0.1:4711\nX=\n");
        for folder in [root.path().to_owned(), root.path().join("docs/images")] {
            let (servers, path) = local_run(&folder).unwrap();
            assert_eq!(servers, "127.0.0.1:4711");
            assert_eq!(path, root.path().join(STACK_FILE));
        }
    }

    #[test]
    fn a_stack_file_without_a_broker_is_an_error() {
        for text in ["", "KAFKA_BOOTSTRAP_SERVERS=\n", "CURRENCY=EUR\n"] {
            let error = local_run(with_stack_file(text).path()).unwrap_err().to_string();
            assert!(error.starts_with("cannot read the broker from "), "{error}");
        }
    }
}
