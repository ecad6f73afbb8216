//! The executables of the functions.
//!
//! Cargo builds them in the profile of the running program, so that `cargo run` alone is enough; or
//! they come from a folder, as `cargo lambda build` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::broker;

#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    #[error(
        "cannot run {cargo} to build the functions: install it, or pass built ones with --function-dir"
    )]
    NoCargo {
        cargo: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot build the functions: see cargo's messages above")]
    Build,
    #[error("cargo built no executable named {0}: the package needs a binary of that name")]
    NotBuilt(String),
    #[error("cannot link the functions into {path} (make it writable)", path = path.display())]
    Link {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "there is neither {directory}/{name}/bootstrap nor {directory}/{name} (name a folder with \
         every function, or leave out --function-dir to build them)",
        directory = directory.display()
    )]
    Missing { directory: PathBuf, name: String },
}

/// The part of cargo's messages that names an executable.
#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    target: Option<CargoTarget>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
}

/// Builds the functions, and returns the executable of each.
///
/// A function's package and binary have the same name. Cargo's progress goes to standard error.
///
/// # Errors
/// [`BinariesError`] when cargo cannot be run or a function does not compile.
pub async fn build(
    workspace: &Path,
    names: &[String],
) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    // Cargo sets this for the programs that it runs; cargo itself may not be on the path.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let failed = |source| BinariesError::NoCargo { cargo: cargo.display().to_string(), source };
    let mut command = Command::new(&cargo);
    // All packages are selected, as by `cargo run`, with the features of the running program:
    // dependencies are compiled once.
    command
        .args(["build", "--workspace", "--message-format=json-render-diagnostics"])
        .current_dir(workspace);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if kafka::HAS_TLS {
        command.args(["--features", "kafka/tls"]);
    }
    for name in names {
        command.args(["--bin", name]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = broker::spawn(|| command.spawn()).map_err(failed)?;
    let mut executables = BTreeMap::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            executables.extend(executable(&line));
        }
    }
    if !child.wait().await.map_err(failed)?.success() {
        return Err(BinariesError::Build);
    }
    match names.iter().find(|name| !executables.contains_key(*name)) {
        Some(name) => Err(BinariesError::NotBuilt(name.clone())),
        None => Ok(executables),
    }
}

/// Links the executables into a folder, or copies them to another file system. Cargo replaces its
/// files and does not write to them, so the links stay as they are.
///
/// # Errors
/// [`BinariesError::Link`].
pub fn link(
    executables: BTreeMap<String, PathBuf>,
    folder: &Path,
) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    let failed = |source| BinariesError::Link { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let links = executables.into_iter().map(|(name, executable)| {
        let link = folder.join(&name);
        fs::hard_link(&executable, &link)
            .or_else(|_| fs::copy(&executable, &link).map(drop))
            .map_err(failed)?;
        Ok((name, link))
    });
    links.collect()
}

/// Finds built executables: `NAME/bootstrap`, as cargo-lambda writes them, or `NAME`.
///
/// # Errors
/// [`BinariesError::Missing`] names the first that is missing.
pub fn ready_made(
    directory: &Path,
    names: &[String],
) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    names
        .iter()
        .map(|name| {
            let candidates = [directory.join(name).join("bootstrap"), directory.join(name)];
            let found = candidates.into_iter().find(|path| path.is_file());
            found.map(|path| (name.clone(), path)).ok_or_else(|| BinariesError::Missing {
                directory: directory.to_owned(),
                name: name.clone(),
            })
        })
        .collect()
}

/// The name and path of the executable in one line of cargo's messages.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: CargoMessage = serde_json::from_str(line).ok()?;
    let built = message.reason == "compiler-artifact";
    built.then_some((message.target?.name, message.executable?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executables_are_taken_from_the_messages_of_cargo() {
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"shared"},"executable":null}"#;
        let binary = r#"{"reason":"compiler-artifact","target":{"name":"greeter"},"executable":"/t/greeter","fresh":true}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("not json"), None);
        assert_eq!(executable(binary), Some(("greeter".to_owned(), PathBuf::from("/t/greeter"))));
    }

    #[test]
    fn a_linked_executable_is_not_replaced_by_the_next_build() {
        let directory = tempfile::tempdir().unwrap();
        let built = directory.path().join("greeter");
        fs::write(&built, "first").unwrap();
        let executables = BTreeMap::from([("greeter".to_owned(), built.clone())]);
        let linked = link(executables, &directory.path().join("run/functions")).unwrap();
        fs::remove_file(&built).unwrap();
        fs::write(&built, "second").unwrap();
        assert_eq!(fs::read_to_string(&linked["greeter"]).unwrap(), "first");
    }

    #[test]
    fn built_functions_are_found_as_cargo_lambda_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("greeter")).unwrap();
        fs::write(directory.path().join("greeter/bootstrap"), "").unwrap();
        fs::write(directory.path().join("echo"), "").unwrap();
        let names = ["greeter".to_owned(), "echo".to_owned()];
        let found = ready_made(directory.path(), &names).unwrap();
        assert!(found["greeter"].ends_with("greeter/bootstrap"));
        assert!(found["echo"].ends_with("echo"));

        let missing = ready_made(directory.path(), &["absent".to_owned()]).unwrap_err();
        assert!(missing.to_string().contains("absent/bootstrap"), "{missing}");
    }
}
