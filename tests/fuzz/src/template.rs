//! The emulator's reader of `template.yaml`.

use std::{fs, path::PathBuf, sync::LazyLock};

use emulator::template::Template;
use tempfile::TempDir;

/// A file of this process, because the reader takes a path.
static FILE: LazyLock<Option<(TempDir, PathBuf)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().ok()?;
    let path = folder.path().join("template.yaml");
    Some((folder, path))
});

#[expect(clippy::expect_used, reason = "a machine without a folder for files fuzzes nothing")]
pub(crate) fn run(input: &[u8]) {
    let (_, path) = FILE.as_ref().expect("a folder");
    fs::write(path, input).expect("the file is written");
    match Template::read(path) {
        Ok(template) => {
            let topics: Vec<_> = template.topics.iter().map(|topic| &topic.name).collect();
            for mapping in &template.mappings {
                assert!(topics.contains(&&mapping.topic), "{} of no topic", mapping.logical_id);
                assert!(template.functions.iter().any(|it| it.name == mapping.function));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Template::as_spelled(path).ok();
}
