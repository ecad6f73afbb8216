//! The corpus of every fuzz target: inputs that reached new code, and those that once failed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first failure")]

use std::{collections::BTreeMap, fs, path::Path};

use fuzz_targets::TARGETS;

/// The most bytes of the whole corpus: it is part of every clone.
const MAX_CORPUS_BYTES: usize = 400 * 1024;

/// The inputs of a target, by the names of their files.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let files = files.map(|file| file.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

// One test, because each target is held to a limit of the process's memory.
#[test]
fn every_property_holds_for_every_input_of_the_corpus() {
    let mut bytes = 0;
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{} has no corpus", target.name);
        for (name, input) in corpus {
            println!("{}/{name}", target.name);
            bytes += input.len();
            target.check(&input);
        }
    }
    assert!(bytes <= MAX_CORPUS_BYTES, "{bytes} bytes");
}
