//! The folders of the local runs of a workspace: `target/local/RUN`, with the run's logs, while it
//! runs its functions and, while `up` runs, its settings for other programs.
//!
//! A run locks its folder until its process ends, in whichever way. So the settings of a killed run
//! are recognised, whatever process has its id now.

mod folder;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process;

use folder::{FUNCTIONS, LOCK, RUNS, STACK_FILE};
pub use folder::{FoundRun, find};

/// The settings of the latest `up` that runs: a link.
pub const LATEST: &str = "target/stack.env";

/// The variable of the settings with the time, in RFC 3339, since when the topics have events. Not
/// there with an external broker, which keeps its topics.
pub const EVENTS_SINCE: &str = "EVENTS_SINCE";

/// Ended runs whose logs are kept.
const MAX_ENDED: usize = 5;

/// The folder of the running program.
#[derive(Debug)]
pub struct Run {
    workspace: PathBuf,
    folder: PathBuf,
    /// Held until the process ends.
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "cannot create the folder {path}: {cause} ({})",
        correction(cause),
        path = path.display()
    )]
    Folder { path: PathBuf, cause: io::Error },
    #[error("{path} is in use by another run (use another folder)", path = path.display())]
    InUse { path: PathBuf },
    #[error("cannot write {path}: {cause} ({})", correction(cause), path = path.display())]
    Unwritable { path: PathBuf, cause: io::Error },
}

impl Run {
    /// Creates the folder of this run, and deletes those of the oldest ended ones.
    ///
    /// # Errors
    /// [`RunError`] if the folder cannot be created.
    pub fn start(workspace: &Path) -> Result<Self, RunError> {
        let folder = workspace.join(RUNS).join(process::id().to_string());
        // Of a process that had this id before.
        if folder.exists() && !folder::is_running(&folder) {
            fs::remove_dir_all(&folder)
                .map_err(|cause| RunError::Folder { path: folder.clone(), cause })?;
        }
        let run =
            Self { workspace: workspace.to_owned(), _lock: lock(&folder)?, folder: folder.clone() };
        fs::create_dir_all(run.logs()).map_err(|cause| RunError::Folder { path: folder, cause })?;
        run.clean_up();
        Ok(run)
    }

    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The folder of the functions that this run executes.
    #[must_use]
    pub fn functions(&self) -> PathBuf {
        self.folder.join(FUNCTIONS)
    }

    /// Writes the settings for other programs of this user, and returns their file.
    ///
    /// # Errors
    /// [`RunError::Unwritable`].
    pub fn publish(&self, settings: &str) -> Result<PathBuf, RunError> {
        let path = self.folder.join(STACK_FILE);
        let unwritable = |cause| RunError::Unwritable { path: path.clone(), cause };
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        file.open(&path)
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .map_err(unwritable)?;
        self.link_latest(&path).map_err(unwritable)?;
        Ok(path)
    }

    /// Removes the settings of this run; [`LATEST`] leads to those of another one. Its logs stay.
    ///
    /// # Errors
    /// The file's, if it cannot be removed.
    pub fn end(&self) -> io::Result<()> {
        remove_if_present(&self.folder.join(STACK_FILE))?;
        let mut running = find(&self.workspace)?.into_iter().filter(|run| run.is_running);
        match running.find_map(|run| run.settings) {
            Some(settings) => self.link_latest(&settings),
            None => remove_if_present(&self.workspace.join(LATEST)),
        }
    }

    /// Links [`LATEST`] to these settings. Renamed, so that a reader finds the old link or the new
    /// one.
    fn link_latest(&self, settings: &Path) -> io::Result<()> {
        let new = self.folder.join("latest");
        let target = self.workspace.join("target");
        symlink(settings.strip_prefix(target).unwrap_or(settings), &new)?;
        fs::rename(new, self.workspace.join(LATEST))
    }

    /// Removes settings and functions of killed runs, and the folders of the oldest ended ones. An
    /// error is not fatal: the next run tries again.
    fn clean_up(&self) {
        let runs = find(&self.workspace).unwrap_or_default();
        let ended: Vec<_> = runs.into_iter().filter(|run| !run.is_running).collect();
        for settings in ended.iter().filter_map(|run| run.settings.as_ref()) {
            fs::remove_file(settings).ok();
        }
        for run in &ended {
            fs::remove_dir_all(run.folder.join(FUNCTIONS)).ok();
        }
        for run in ended.iter().skip(MAX_ENDED) {
            fs::remove_dir_all(&run.folder).ok();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Absent if the run has built none; else the next run tries again.
        fs::remove_dir_all(self.functions()).ok();
    }
}

/// Removes a file, if there is one.
///
/// # Errors
/// The system's, unless there is no such file.
pub fn remove_if_present(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a folder and locks it for this process, until the file is dropped.
///
/// # Errors
/// [`RunError`] if it cannot be created, or another run uses it.
pub fn lock(folder: &Path) -> Result<File, RunError> {
    let path = folder.to_owned();
    let locked = fs::create_dir_all(folder)
        .and_then(|()| File::create(folder.join(LOCK)))
        .map(|file| file.try_lock().map(|()| file));
    match locked {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(TryLockError::WouldBlock)) => Err(RunError::InUse { path }),
        Ok(Err(TryLockError::Error(cause))) | Err(cause) => Err(RunError::Folder { path, cause }),
    }
}

/// The correction of an error that writing a file or a folder had.
#[must_use]
pub fn correction(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its disk",
        _ => "make it writable, or use another path",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The run of another process: a folder that is locked as long as the file lives.
    fn other_run(workspace: &Path, name: &str) -> File {
        let folder = workspace.join(RUNS).join(name);
        let file = lock(&folder).unwrap();
        fs::write(folder.join(STACK_FILE), format!("RUN={name}\n")).unwrap();
        file
    }

    fn latest(workspace: &Path) -> Option<String> {
        fs::read_to_string(workspace.join(LATEST)).ok()
    }

    #[test]
    fn a_run_that_ends_leaves_the_settings_of_the_others() {
        let workspace = tempfile::tempdir().unwrap();
        let other = other_run(workspace.path(), "other");
        let run = Run::start(workspace.path()).unwrap();
        let settings = run.publish("RUN=ours\n").unwrap();
        assert_eq!(latest(workspace.path()).as_deref(), Some("RUN=ours\n"));
        assert_eq!(find(workspace.path()).unwrap().len(), 2);
        fs::create_dir(run.functions()).unwrap();
        run.end().unwrap();
        assert!(!settings.exists());
        assert_eq!(latest(workspace.path()).as_deref(), Some("RUN=other\n"));
        let functions = run.functions();
        drop(run);
        assert!(!functions.exists());
        drop(other);
        let run = Run::start(workspace.path()).unwrap();
        run.publish("RUN=ours\n").unwrap();
        run.end().unwrap();
        assert_eq!(latest(workspace.path()), None);
    }

    #[test]
    fn the_settings_are_readable_by_this_user_only() {
        let workspace = tempfile::tempdir().unwrap();
        let run = Run::start(workspace.path()).unwrap();
        let settings = run.publish("RUN=ours\n").unwrap();
        assert_eq!(fs::metadata(settings).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_settings_that_were_published_last_are_the_latest() {
        let workspace = tempfile::tempdir().unwrap();
        let other = other_run(workspace.path(), "other");
        let run = Run::start(workspace.path()).unwrap();
        // The clock of a file system is too coarse to tell which of two runs is newer.
        other
            .set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(60))
            .unwrap();
        run.publish("RUN=ours\n").unwrap();
        assert_eq!(latest(workspace.path()).as_deref(), Some("RUN=ours\n"));
    }

    #[test]
    fn the_settings_of_a_killed_run_are_removed_by_the_next() {
        let workspace = tempfile::tempdir().unwrap();
        drop(other_run(workspace.path(), "killed"));
        let found = find(workspace.path()).unwrap();
        assert!(!found[0].is_running && found[0].settings.is_some(), "{found:?}");
        let run = Run::start(workspace.path()).unwrap();
        let found = find(workspace.path()).unwrap();
        assert!(found.iter().all(|run| run.settings.is_none()), "{found:?}");
        run.end().unwrap();
    }

    #[test]
    fn the_logs_of_the_last_ended_runs_are_kept() {
        let workspace = tempfile::tempdir().unwrap();
        let running = other_run(workspace.path(), "0");
        for name in 1..=9 {
            let file = other_run(workspace.path(), &name.to_string());
            let age = std::time::Duration::from_secs(100 - name);
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        }
        running.set_modified(std::time::UNIX_EPOCH).unwrap();
        let run = Run::start(workspace.path()).unwrap();
        let found = find(workspace.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .filter(|found| found.folder != run.folder)
            .map(|found| found.folder.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["9", "8", "7", "6", "5", "0"]);
    }

    #[test]
    fn a_full_disk_is_named_with_its_correction() {
        let cause = io::Error::from_raw_os_error(28);
        let error = RunError::Folder { path: PathBuf::from("kept"), cause }.to_string();
        assert_eq!(
            error,
            "cannot create the folder kept: No space left on device (os error 28) (free space on \
             its disk)"
        );
    }

    #[test]
    fn a_folder_is_used_by_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let second = lock(folder.path()).unwrap_err();
        assert!(second.to_string().ends_with("is in use by another run (use another folder)"));
        drop(first);
        lock(folder.path()).unwrap();
    }
}
