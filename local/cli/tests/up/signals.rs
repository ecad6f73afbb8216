//! Signals: each ends the program in order, a second one at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::time::timeout;

use super::NO_FUNCTIONS;
use super::harness::Up;
use super::workspace::workspace;

/// Restores SIGHUP, which the tests inherit as ignored if they run under `nohup`.
const DEFAULT_SIGNALS: &[&str] =
    if cfg!(target_os = "linux") { &["env", "--default-signal=HUP"] } else { &["env"] };

#[tokio::test]
async fn every_signal_ends_the_run_and_removes_its_settings() {
    for signal in ["INT", "TERM", "QUIT", "HUP"] {
        let workspace = workspace();
        let up = Up::start_by(DEFAULT_SIGNALS, workspace.path(), &NO_FUNCTIONS).await;
        assert!(workspace.path().join("target/stack.env").exists());
        up.stop_by(signal).await;
        assert!(workspace.path().join("target/stack.env").symlink_metadata().is_err(), "{signal}");
        let runs = local_runs::find(workspace.path()).unwrap();
        assert!(runs.iter().all(|run| run.settings.is_none()), "{signal}: {runs:?}");
    }
}

#[tokio::test]
async fn a_run_under_nohup_outlives_its_terminal() {
    let workspace = workspace();
    let up = Up::start_by(&["nohup"], workspace.path(), &NO_FUNCTIONS).await;
    up.signal("HUP").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(workspace.path().join("target/stack.env").exists());
    up.stop_by("TERM").await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once_and_leaves_no_process() {
    let workspace = workspace();
    let functions = workspace.path().join("functions");
    fs::create_dir(&functions).unwrap();
    for name in ["validator", "inventory", "payment", "notification", "order-api"] {
        fs::write(functions.join(name), include_str!("busy_function.py")).unwrap();
        fs::set_permissions(functions.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let arguments = ["--function-dir", functions.to_str().unwrap()];
    let mut up = Up::start(workspace.path(), &arguments).await;
    up.publish("order.created", "{}").await;
    let busy = || pids(&functions, ".busy");
    let is_busy = timeout(Duration::from_secs(60), async {
        while busy().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(is_busy.await.is_ok(), "no function is busy: {:?}", up.printed());
    let processes = [pids(&functions, ".started"), busy()].concat();
    assert!(processes.len() > 5 && processes.iter().all(|id| runs(id)), "{processes:?}");

    up.signal("INT").await;
    up.until_printed(|line| line == "Stopping; a second signal stops at once.").await;
    up.signal("TERM").await;
    assert_eq!(up.exit_code().await, Some(128 + 15));
    up.until_printed(|line| line.starts_with("Stopped at once: ")).await;
    let left = || processes.iter().filter(|id| runs(id)).collect::<Vec<_>>();
    let all_ended = timeout(Duration::from_secs(10), async {
        while !left().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(all_ended.await.is_ok(), "{:?}", left());
}

/// The process ids in the files with this suffix.
fn pids(folder: &Path, suffix: &str) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.to_str().unwrap().ends_with(suffix));
    let ids: Vec<_> = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    ids.iter().flat_map(|ids| ids.split_whitespace()).map(ToOwned::to_owned).collect()
}

/// False for a zombie too.
fn runs(process_id: &str) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", process_id]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}
