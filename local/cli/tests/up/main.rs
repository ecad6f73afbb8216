//! Tests of `up` as a program: its folders, its restart, and the event files of `event`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first error"
)]

mod event_files;
mod harness;
mod memory;
mod signals;
#[path = "../workspace/mod.rs"]
mod workspace;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use emulator::aws_settings::AwsSettings;
use emulator::database::Database;
use harness::{Up, refused};
use jiff::{Timestamp, ToSpan};
use workspace::{root, workspace};

/// An address without functions: the tests that use it send no order.
const NO_FUNCTIONS: [&str; 2] = ["--lambda", "http://127.0.0.1:9"];

#[tokio::test]
async fn two_runs_of_one_workspace_have_their_own_settings() {
    let workspace = workspace();
    let latest = || fs::read_to_string(workspace.path().join("target/stack.env")).ok();
    let is_of = |up: &Up| latest().is_some_and(|text| text.contains(&up.url));
    let first = Up::start(workspace.path(), &NO_FUNCTIONS).await;
    assert!(is_of(&first));
    let second = Up::start(workspace.path(), &NO_FUNCTIONS).await;
    assert!(is_of(&second));
    let runs = || local_runs::find(workspace.path()).unwrap();
    assert_eq!(runs().iter().filter(|run| run.is_running && run.settings.is_some()).count(), 2);
    second.stop().await;
    assert!(is_of(&first), "the first one still runs");
    first.kill().await;
    let killed: Vec<_> = runs().into_iter().filter(|run| run.settings.is_some()).collect();
    assert_eq!(killed.len(), 1);
    assert!(!killed[0].is_running);
    let third = Up::start(workspace.path(), &NO_FUNCTIONS).await;
    assert!(!killed[0].settings.as_ref().unwrap().exists());
    assert!(is_of(&third));
    third.stop().await;
    assert_eq!(latest(), None);
}

#[tokio::test]
async fn the_settings_for_other_programs_have_no_secrets() {
    let workspace = workspace();
    let database = Database::embedded(&AwsSettings::default(), "").await.unwrap();
    let outside = ["--dynamodb", database.endpoint(), "--env", "STRIPE_API_KEY"];
    let variables = [
        ("AWS_ACCESS_KEY_ID", "private-id"),
        ("AWS_SECRET_ACCESS_KEY", "private-secret"),
        ("AWS_SESSION_TOKEN", "private-token"),
        ("STRIPE_API_KEY", "private-key"),
    ];
    let arguments = [&NO_FUNCTIONS[..], &outside].concat();
    let up = Up::start_with(workspace.path(), &arguments, &variables).await;
    let settings = workspace.path().join("target/stack.env");
    let text = fs::read_to_string(&settings).unwrap();
    assert!(!text.contains("private-"), "{text}");
    assert_eq!(
        text.lines().next(),
        Some(
            "# Not in this file, to be set by you: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, \
             AWS_SESSION_TOKEN, STRIPE_API_KEY"
        )
    );
    assert_eq!(fs::metadata(&settings).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!up.stop().await.concat().contains("private-"));

    // Values that any program may have.
    let up = Up::start(workspace.path(), &NO_FUNCTIONS).await;
    let text = fs::read_to_string(&settings).unwrap();
    assert!(text.contains("\nAWS_SECRET_ACCESS_KEY=local\n") && !text.contains('#'), "{text}");
    up.stop().await;
}

#[tokio::test]
async fn a_kept_folder_is_used_by_one_run_at_a_time() {
    let workspace = workspace();
    let keep = workspace.path().join("kept");
    let arguments = [&NO_FUNCTIONS[..], &["--keep", keep.to_str().unwrap()]].concat();
    let first = Up::start(workspace.path(), &arguments).await;
    let error = refused(workspace.path(), &arguments).await;
    assert!(error.contains("is in use by another run"), "{error}");
    first.stop().await;
}

#[tokio::test]
async fn the_settings_say_since_when_the_embedded_broker_has_events() {
    let workspace = workspace();
    let keep = workspace.path().join("kept");
    let arguments = [&NO_FUNCTIONS[..], &["--keep", keep.to_str().unwrap()]].concat();
    let since = async || {
        let before = Timestamp::now();
        let up = Up::start(workspace.path(), &arguments).await;
        let text = fs::read_to_string(workspace.path().join("target/stack.env")).unwrap();
        let since = text.lines().find_map(|line| line.strip_prefix("EVENTS_SINCE="));
        let since: Timestamp = since.unwrap().parse().unwrap();
        assert!(since >= before - 1.millisecond() && since <= Timestamp::now(), "{text}");
        up.stop().await;
        since
    };
    let first = since().await;
    assert!(since().await > first);
}

#[tokio::test]
async fn a_full_disk_is_named_when_records_cannot_be_kept() {
    // Linux has a file to which nothing can be written for want of space.
    if !Path::new("/dev/full").exists() {
        return;
    }
    let workspace = workspace();
    let keep = workspace.path().join("kept");
    let arguments = [&NO_FUNCTIONS[..], &["--keep", keep.to_str().unwrap()]].concat();
    let mut up = Up::start(workspace.path(), &arguments).await;
    symlink("/dev/full", keep.join("records.new")).unwrap();
    up.publish("order.created", "{}").await;
    up.signal("INT").await;
    assert_eq!(up.exit_code().await, Some(1), "{:?}", up.printed());
    let file = keep.join("records.jsonl");
    let expected = format!(
        "error: cannot write {}: No space left on device (os error 28) (free space on its disk)",
        file.display()
    );
    up.until_printed(|line| line == expected).await;
}

#[tokio::test]
async fn a_database_that_does_not_respond_is_named_with_its_option() {
    let workspace = workspace();
    let arguments = [&NO_FUNCTIONS[..], &["--dynamodb", "http://127.0.0.1:9"]].concat();
    let error = refused(workspace.path(), &arguments).await;
    assert!(error.contains("no DynamoDB responds at http://127.0.0.1:9: start it"), "{error}");
    assert!(error.contains("--dynamodb") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_kept_item_that_needs_a_correction_does_not_prevent_a_start() {
    let workspace = workspace();
    let keep = workspace.path().join("kept");
    let arguments = [&NO_FUNCTIONS[..], &["--keep", keep.to_str().unwrap()]].concat();
    let up = Up::start(workspace.path(), &arguments).await;
    up.put_text("StockTable", &[("sku", "ITEM-A"), ("available", "a hundred")]).await;
    up.stop().await;
    Up::start(workspace.path(), &arguments).await.stop().await;
}

#[tokio::test]
async fn kept_orders_end_once_after_a_stop_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--keep", folder.path().to_str().unwrap()];
    let up = Up::start(&root(), &arguments).await;
    // A failed order whose stock is not released yet, orders without their reservation, and one
    // that is paid.
    up.pause("InventoryReleaseMapping").await;
    let declined = up.order("cust-broke").await;
    assert_eq!(up.ended(&declined).await, "FAILED");
    let completed = up.order("cust-1").await;
    assert_eq!(up.ended(&completed).await, "COMPLETED");
    up.pause("InventoryReserveMapping").await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(up.order("cust-2").await);
    }
    up.until_reserved("4").await;
    up.stop().await;

    let up = Up::start(&root(), &arguments).await;
    for order_id in &waiting {
        assert_eq!(up.ended(order_id).await, "COMPLETED");
        up.until_printed(|line| line.starts_with(order_id)).await;
    }
    assert_eq!(up.ended(&declined).await, "FAILED");
    // Two for each completed order; those of the declined one are released.
    up.until_reserved("8").await;
    up.pause("PaymentMapping").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(up.order("cust-3").await);
    }
    let printed = up.kill().await;
    for order_id in &waiting {
        let ends: Vec<_> = printed.iter().filter(|line| line.starts_with(order_id)).collect();
        let first = ends.iter().filter(|line| !line.ends_with("(redelivered)")).count();
        assert_eq!(first, 1, "{ends:?}");
    }

    let up = Up::start(&root(), &arguments).await;
    for order_id in &open {
        assert_eq!(up.ended(order_id).await, "COMPLETED");
    }
    up.until_reserved("14").await;
    let stock = |attribute| up.number("StockTable", ("sku", "ITEM-A"), attribute);
    assert_eq!((stock("available").await, stock("reserved").await), ("486".into(), "14".into()));
    let balance = |id| up.number("AccountsTable", ("customerId", id), "balance");
    assert_eq!(balance("cust-1").await, "900.02");
    assert_eq!(balance("cust-2").await, "700.06");
    assert_eq!(balance("cust-3").await, "700.06");
    assert_eq!(balance("cust-broke").await, "0.49");
    up.stop().await;
}

#[tokio::test]
async fn kept_records_that_cannot_be_read_stay_in_their_file() {
    let workspace = workspace();
    let keep = workspace.path().join("kept");
    fs::create_dir(&keep).unwrap();
    let file = keep.join("records.jsonl");
    let content = b"{}\n\xff\xfe\n";
    fs::write(&file, content).unwrap();
    let arguments = [&NO_FUNCTIONS[..], &["--keep", keep.to_str().unwrap()]].concat();
    let error = refused(workspace.path(), &arguments).await;
    assert!(error.contains("make it readable, or move it away"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), content);
}
