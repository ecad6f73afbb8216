//! The workspace of the tests, and copies of it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A copy of the workspace's files that the program reads.
pub(crate) fn workspace() -> TempDir {
    let workspace = tempfile::tempdir().unwrap();
    std::fs::create_dir(workspace.path().join("events")).unwrap();
    for file in ["template.yaml", "events/stock-and-accounts.json"] {
        std::fs::copy(root().join(file), workspace.path().join(file)).unwrap();
    }
    workspace
}
