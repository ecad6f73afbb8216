//! The broker of a running `cargo run -- up` is found without options, and errors are one line.

use std::fs;
use std::path::Path;

use super::harness::{CREATED, Harness, Output};

/// Runs `redrive list` in this folder, without a broker in its environment.
async fn list_in(harness: &Harness, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = harness.command(&["list"]);
    command.args(arguments).env_remove("KAFKA_BOOTSTRAP_SERVERS").current_dir(folder);
    Output::of(command).await
}

#[tokio::test]
async fn the_broker_of_the_local_run_is_found_from_any_folder_below() {
    let mut harness = Harness::start().await;
    let given_up = harness.given_up(CREATED, 0, "ord-1", "{}").await;
    harness.give_up(0, &[given_up]).await;
    let root = tempfile::tempdir().unwrap();
    let servers = harness.broker.bootstrap_servers();
    let below = root.path().join("docs");
    fs::create_dir_all(root.path().join("target")).unwrap();
    fs::create_dir_all(&below).unwrap();
    let settings = format!("KAFKA_SIGN_IN=NONE\nKAFKA_BOOTSTRAP_SERVERS={servers}\n");
    fs::write(root.path().join("target/stack.env"), settings).unwrap();
    let listed = list_in(&harness, &below, &[]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    assert!(listed.line("order.created/0/0").ends_with("pending"), "{listed:?}");
    let expected = format!("using the broker of `cargo run -- up`: {servers} (");
    assert!(listed.stderr.starts_with(&expected), "{listed:?}");
    // A cluster with authentication is never the local one.
    let msk = list_in(&harness, &below, &["--auth", "msk-iam"]).await;
    assert_eq!(msk.status, 2, "{msk:?}");
    assert!(msk.stderr.contains("give --kafka HOST:PORT"), "{msk:?}");
}

#[tokio::test]
async fn without_a_broker_the_error_says_what_to_do() {
    let harness = Harness::start().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let ended = list_in(&harness, elsewhere.path(), &[]).await;
    assert_eq!(ended.status, 2, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    for expected in ["give --kafka HOST:PORT", "start `cargo run -- up`"] {
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}

#[tokio::test]
async fn a_misspelled_command_gets_a_suggestion() {
    let harness = Harness::start().await;
    let ended = harness.redrive(&["lst"]).await;
    assert_eq!(ended.status, 2, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("did you mean 'list'?"), "{ended:?}");
}
