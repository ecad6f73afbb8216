//! Finds the folders of runs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) const RUNS: &str = "target/local";
pub(crate) const LOCK: &str = "lock";
pub(crate) const FUNCTIONS: &str = "functions";
pub(crate) const STACK_FILE: &str = "stack.env";

/// A run, running or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRun {
    pub folder: PathBuf,
    /// The file with its settings: of an `up` that runs, or was killed.
    pub settings: Option<PathBuf>,
    pub is_running: bool,
}

/// The runs of a workspace, the newest first. None without their folder.
///
/// # Errors
/// If their folder cannot be read.
pub fn find(workspace: &Path) -> io::Result<Vec<FoundRun>> {
    let folders = match fs::read_dir(workspace.join(RUNS)) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut runs = Vec::new();
    for folder in folders {
        let folder = folder?.path();
        let settings = folder.join(STACK_FILE);
        let settings = settings.is_file().then_some(settings);
        let is_running = is_running(&folder);
        runs.push((started(&folder), FoundRun { folder, settings, is_running }));
    }
    runs.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// The time of its lock file, which is written once.
fn started(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder.join(LOCK)).and_then(|lock| lock.modified()).ok()
}

/// True if a process holds the lock.
pub(crate) fn is_running(folder: &Path) -> bool {
    // Shared, so that two programs that look at the same time do not see each other.
    File::open(folder.join(LOCK))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
