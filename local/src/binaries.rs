//! Where are the executables of the functions, and are they up to date?
//!
//! They are built by cargo in the profile of the running program, so that `cargo run` alone is
//! enough; or taken ready-made from a folder, as `cargo lambda build` leaves them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Why there are no executables.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// Cargo could not be run.
    #[error(
        "cannot run {cargo} to build the functions: install it, or give built ones with --function-dir"
    )]
    NoCargo {
        /// What was to be run.
        cargo: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The functions do not compile.
    #[error("the functions could not be built: see what cargo printed above")]
    Build,
    /// Cargo named no executable for a function.
    #[error("cargo built no executable named {0}: the package needs a binary of that name")]
    NotBuilt(String),
    /// The folder of ready-made functions lacks one.
    #[error("there is neither {directory}/{name}/bootstrap nor {directory}/{name}", directory = directory.display())]
    Missing {
        /// The folder.
        directory: PathBuf,
        /// The function.
        name: String,
    },
}

/// The part of cargo's messages that names what was built.
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

/// Builds the functions that are stale, and tells where each executable is.
///
/// Package and binary of a function have the same name. Cargo's progress goes to standard error.
///
/// # Errors
/// [`BinariesError`] when cargo cannot be run or a function does not compile.
pub async fn build(
    workspace: &Path,
    names: &[String],
) -> Result<BTreeMap<String, PathBuf>, BinariesError> {
    // Cargo tells the programs it runs where it is, which may not be on the path.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let failed = |source| BinariesError::NoCargo { cargo: cargo.display().to_string(), source };
    let mut command = Command::new(&cargo);
    // All packages are selected, as by `cargo run`, so that dependencies have the same features and
    // are compiled once.
    command
        .args(["build", "--workspace", "--message-format=json-render-diagnostics"])
        .current_dir(workspace);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    for name in names {
        command.args(["--bin", name]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
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

/// Takes ready-made executables: `NAME/bootstrap`, as cargo-lambda leaves them, or `NAME`.
///
/// # Errors
/// [`BinariesError::Missing`] names the first that is not there.
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

/// The name and place of the executable that one line of cargo's messages tells of.
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
            r#"{"reason":"compiler-artifact","target":{"name":"stage"},"executable":null}"#;
        let binary = r#"{"reason":"compiler-artifact","target":{"name":"payment"},"executable":"/t/payment","fresh":true}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("not json"), None);
        assert_eq!(executable(binary), Some(("payment".to_owned(), PathBuf::from("/t/payment"))));
    }

    #[test]
    fn ready_made_functions_are_found_as_cargo_lambda_leaves_them() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("payment")).unwrap();
        std::fs::write(directory.path().join("payment/bootstrap"), "").unwrap();
        std::fs::write(directory.path().join("validator"), "").unwrap();
        let names = ["payment".to_owned(), "validator".to_owned()];
        let found = ready_made(directory.path(), &names).unwrap();
        assert!(found["payment"].ends_with("payment/bootstrap"));
        assert!(found["validator"].ends_with("validator"));

        let missing = ready_made(directory.path(), &["inventory".to_owned()]).unwrap_err();
        assert!(missing.to_string().contains("inventory/bootstrap"), "{missing}");
    }
}
