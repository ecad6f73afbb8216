//! Keeps the emulator free of the workflow that it runs.

#![expect(clippy::unwrap_used, reason = "a test stops at the first failure")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Names of the workflow's topics, functions, tables and crates.
const NAMES: [&str; 12] = [
    "contracts",
    "order.created",
    "order.failed",
    "order.dead-letter",
    "order-api",
    "orderid",
    "orders",
    "validator",
    "inventory",
    "payment",
    "notification",
    "stocktable",
];

#[test]
fn the_emulator_knows_nothing_of_orders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("Cargo.toml")];
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.len() > 50, "{} files", files.len());
    for file in files.iter().filter(|file| !file.ends_with(file!().rsplit('/').next().unwrap())) {
        let text =
            fs::read_to_string(file).unwrap().replace("the_emulator_knows_nothing_of_orders", "");
        let text = text.to_lowercase();
        for name in NAMES {
            assert!(!text.contains(name), "{} names {name:?}", file.display());
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
