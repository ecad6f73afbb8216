//! The broker of a running `cargo run -- up` is found without options, and errors are one line.

use std::fs;
use std::path::Path;

use local_runs::Run;

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
    fs::create_dir_all(&below).unwrap();
    let settings = format!("KAFKA_SIGN_IN=NONE\nKAFKA_BOOTSTRAP_SERVERS={servers}\n");
    let run = Run::start(root.path()).unwrap();
    run.publish(&settings).unwrap();
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
async fn two_local_runs_are_named_with_the_option_that_selects_each() {
    let harness = Harness::start().await;
    let root = tempfile::tempdir().unwrap();
    let run = Run::start(root.path()).unwrap();
    run.publish("KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1\nHTTP_API_URL=http://127.0.0.1:3000\n")
        .unwrap();
    let other = root.path().join("target/local/other");
    let lock = local_runs::lock(&other).unwrap();
    let settings = "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:2\nHTTP_API_URL=http://127.0.0.1:3001\n";
    fs::write(other.join("stack.env"), settings).unwrap();
    let ended = list_in(&harness, root.path(), &[]).await;
    assert_eq!(ended.status, 2, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    for expected in [
        "2 of `cargo run -- up` are running here",
        "--kafka 127.0.0.1:1 (its page: http://127.0.0.1:3000)",
        "--kafka 127.0.0.1:2 (its page: http://127.0.0.1:3001)",
    ] {
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
    // A killed run is none of them.
    drop(lock);
    let servers = harness.broker.bootstrap_servers();
    run.publish(&format!("KAFKA_BOOTSTRAP_SERVERS={servers}\n")).unwrap();
    let listed = list_in(&harness, root.path(), &[]).await;
    assert_eq!(listed.status, 0, "{listed:?}");
    run.end().unwrap();
    let ended = list_in(&harness, root.path(), &[]).await;
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("other/stack.env was killed"), "{ended:?}");
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
