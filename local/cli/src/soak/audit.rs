//! Runs `audit` on the stack: the program that an operator runs, in a process of its own, so that its
//! memory is not this program's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use contracts::RecordPosition;
use emulator::stack::Stack;
use emulator::tap::Tap;
use emulator::{binaries, broker};
use serde::Deserialize;
use terminal::ExitError;
use tokio::process::Command;

const PROGRAM: &str = "audit";
/// Findings about an event that no stage has stored.
const OF_FORGED: [&str; 2] = ["event-differs", "event-without-row"];
const TIMEOUT: Duration = Duration::from_secs(600);

pub(super) struct Audit {
    program: PathBuf,
    environment: BTreeMap<String, String>,
    opening: PathBuf,
}

/// The JSON of `audit`.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    findings: Vec<Finding>,
    open: Vec<Open>,
    notes: Vec<String>,
    pub(super) orders: u64,
}

#[derive(Debug, Deserialize)]
struct Finding {
    kind: String,
    subject: String,
    expected: String,
    found: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    order_id: String,
    stage: String,
}

/// The executable: from the folder of built functions, or built now, as they are.
pub(super) async fn executable(
    workspace: &Path,
    function_dir: Option<&Path>,
) -> Result<PathBuf, ExitError> {
    let names = [PROGRAM.to_owned()];
    let is_current = workspace.as_os_str().is_empty();
    let workspace = if is_current { Path::new(".") } else { workspace };
    let built = match function_dir {
        Some(folder) => binaries::ready_made(folder, &names),
        None => binaries::build(workspace, &names).await,
    };
    let mut built = built.map_err(ExitError::start)?;
    built.remove(PROGRAM).ok_or_else(|| ExitError::Start("cargo built no audit".to_owned()))
}

impl Audit {
    pub(super) fn new(program: PathBuf, stack: &Stack, folder: &Path) -> Self {
        Self { program, environment: stack.environment(), opening: folder.join("opening.json") }
    }

    /// Saves the opening. The topics and tables are still empty.
    pub(super) async fn save(&self) -> Result<(), ExitError> {
        let opening = self.opening.display().to_string();
        let report = self.run(&["--save", &opening]).await?;
        match report.complaints(&BTreeSet::new()).first() {
            None => Ok(()),
            Some(complaint) => Err(ExitError::Start(format!("before the load: {complaint}"))),
        }
    }

    pub(super) async fn check(&self) -> Result<Report, ExitError> {
        let opening = self.opening.display().to_string();
        self.run(&["--opening", &opening, "--open-for", "0s"]).await
    }

    async fn run(&self, arguments: &[&str]) -> Result<Report, ExitError> {
        let mut command = Command::new(&self.program);
        command.arg("--json").args(arguments).envs(&self.environment).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = broker::spawn(|| command.spawn()).map_err(ExitError::run)?;
        let output = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await;
        let output = output.map_err(ExitError::run)?.map_err(ExitError::run)?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            ExitError::Run(format!("audit ended with {}: {}", output.status, errors.trim()))
        })
    }
}

impl Report {
    /// The findings, the open orders and the checks that were not possible, but for the events that
    /// this run forged of these orders.
    pub(super) fn complaints(&self, forged: &BTreeSet<&str>) -> Vec<String> {
        let findings = self.findings.iter().filter(|it| !it.is_of(forged)).map(|it| {
            let Finding { kind, subject, expected, found } = it;
            format!("audit: {kind}, {subject}: expected {expected}, found {found}")
        });
        let open = self.open.iter().map(|open| {
            format!("audit: order {} is open, its last event is of {}", open.order_id, open.stage)
        });
        let notes = self.notes.iter().map(|note| format!("audit: {note}"));
        findings.chain(open).chain(notes).collect()
    }

    /// The orders with an event that no stage has stored, of these.
    pub(super) fn found<'a>(&self, forged: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let found = self.findings.iter().filter(|it| it.is_of(forged));
        found.filter_map(|it| forged.get(it.subject.as_str()).copied()).collect()
    }
}

impl Finding {
    fn is_of(&self, forged: &BTreeSet<&str>) -> bool {
        OF_FORGED.contains(&self.kind.as_str()) && forged.contains(self.subject.as_str())
    }
}

/// The orders with a forged event that its topic still has: the embedded broker drops the oldest
/// records.
pub(super) async fn still_on_topics<'a>(
    forged: &'a BTreeMap<String, BTreeSet<RecordPosition>>,
    stack: &Stack,
) -> Result<BTreeSet<&'a str>, ExitError> {
    let topics: Vec<_> = stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
    let tap = Tap::start(&stack.broker, &topics).await.map_err(ExitError::run)?;
    let is_kept = |position: &RecordPosition| {
        tap.opened_at().iter().any(|bounds| {
            bounds.topic == position.topic.name()
                && bounds.partition == position.partition
                && bounds.first <= position.offset
        })
    };
    let kept = forged.iter().filter(|(_, positions)| positions.iter().any(is_kept));
    Ok(kept.map(|(order_id, _)| order_id.as_str()).collect())
}
