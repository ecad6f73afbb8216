//! Instructions of a process, counted by valgrind's callgrind.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::contender::Contender;
use crate::error::{BenchError, Context, Result};

const VALGRIND: &str = "valgrind";

/// Fails unless valgrind can be run.
pub(crate) async fn check_installed() -> Result<()> {
    match Command::new(VALGRIND).arg("--version").output().await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(BenchError::Invalid(format!(
            "cannot count instructions: `valgrind --version` ended with {}",
            output.status
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(BenchError::Invalid(
            "cannot count instructions: valgrind is not installed (on Debian and Ubuntu: `apt-get \
             install valgrind`; it runs on Linux only)"
                .to_owned(),
        )),
        Err(error) => Err(error).context("cannot run valgrind"),
    }
}

impl Contender {
    /// The same contender under callgrind, which writes its profile when the process ends.
    pub(crate) fn under_callgrind(mut self, profile: &Path) -> Self {
        let mut arguments = vec![
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", profile.display()),
            self.program.display().to_string(),
        ];
        arguments.append(&mut self.arguments);
        Self { program: PathBuf::from(VALGRIND), arguments, ..self }
    }
}

/// The instructions of all threads, from start to end.
pub(crate) fn total(profile: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(profile)
        .context(format!("cannot read callgrind's profile {}", profile.display()))?;
    parse_total(&text).ok_or_else(|| {
        let profile = profile.display();
        BenchError::Invalid(format!("cannot read callgrind's profile {profile}: no `totals:` line"))
    })
}

/// The last line: a truncated profile lacks it.
fn parse_total(profile: &str) -> Option<u64> {
    let line = profile.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_profile_ends_with_its_total() {
        let profile = "events: Ir\nsummary: 42\n\nfn=(1) main\n31 42\n\ntotals: 42\n";
        assert_eq!(parse_total(profile), Some(42));
        assert_eq!(parse_total("events: Ir\nsummary: 42\n\nfn=(1) main\n31 4"), None);
    }

    #[test]
    fn callgrind_runs_the_program_with_its_arguments() {
        let contender = Contender {
            name: "validator".to_owned(),
            program: PathBuf::from("target/validator"),
            arguments: vec!["--flag".to_owned()],
            environment: BTreeMap::new(),
        };
        let contender = contender.under_callgrind(Path::new("target/validator.out"));
        assert_eq!(contender.program, Path::new("valgrind"));
        let expected =
            ["--tool=callgrind", "--callgrind-out-file=target/validator.out", "target/validator"];
        assert_eq!(contender.arguments, [&expected[..], &["--flag"]].concat());
    }
}
