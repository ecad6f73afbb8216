//! Tests of `demo` as a program: its environment, its limits, its terminal and its end.

#![expect(clippy::unwrap_used, reason = "a test stops at the first error")]

#[path = "../page/raw_batch.rs"]
mod raw_batch;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

/// The functions may have to be built first.
const TIMEOUT: Duration = Duration::from_secs(580);
/// For a mapping to report a partition, and for the next outage of the broker.
const REPORT_TIMEOUT: Duration = Duration::from_secs(60);
/// For the run to stop while orders are under way.
const STOP_TIMEOUT: Duration = Duration::from_mins(2);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `demo` with these arguments, in a shell after this command.
fn demo(before: &str, arguments: &[&str]) -> Command {
    let mut program = Command::new("bash");
    program
        .args(["-c", &format!("{before} exec \"$@\""), "bash", env!("CARGO_BIN_EXE_local"), "demo"])
        .args(arguments)
        .current_dir(root())
        .env_remove("KAFKA_BOOTSTRAP_SERVERS")
        .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    program
}

async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(TIMEOUT, command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let mut demo = demo("", &["--orders", "20"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        demo.env(name, "http://127.0.0.1:1").env(name.to_lowercase(), "http://127.0.0.1:1");
    }
    let ended = output(demo.env_remove("NO_PROXY").env_remove("no_proxy")).await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_as_far_as_it_may() {
    let ended = output(&mut demo("ulimit -S -n 256;", &["--orders", "200"])).await;
    assert!(ended.status.success(), "{ended:?}");
    let ended = output(&mut demo("ulimit -n 256;", &["--orders", "200"])).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        error,
        "error: cannot open enough files: the limit is 256, a run needs 512 (raise the hard limit \
         of `ulimit -n`)\n"
    );
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("missing/books.json");
    let ended = output(&mut demo("", &["--report", report.to_str().unwrap()])).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stdout, b"", "{ended:?}");
    let error = String::from_utf8(ended.stderr).unwrap();
    let expected = format!(
        "error: cannot write the report {}: No such file or directory (os error 2) (",
        report.display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

/// Sends a batch unchanged, once the broker is not away. Returns the connection.
async fn write_batch(kafka: &str, batch: &[u8]) -> TcpStream {
    let request = raw_batch::produce("order.created", 2, batch);
    loop {
        let written = async {
            let mut broker = TcpStream::connect(kafka).await?;
            broker.write_all(&request).await?;
            // The response.
            broker.read_i32().await?;
            io::Result::Ok(broker)
        };
        if let Ok(broker) = written.await {
            return broker;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_is_one_warning_despite_the_outages() {
    let mut program = demo("", &["--orders", "100000"]).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let kafka = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let ["Kafka", servers, ..] = line.split_whitespace().collect::<Vec<_>>()[..] {
                return servers.to_owned();
            }
        }
        panic!("the program ended");
    };
    let kafka = tokio::time::timeout(TIMEOUT, kafka).await.unwrap();
    // Until the demo is idle, a record that waits would keep it from its start.
    let is_earlier = |line: String| !line.contains("orders posted");
    let posting = async { while lines.next_line().await.unwrap().is_some_and(is_earlier) {} };
    tokio::time::timeout(TIMEOUT, posting).await.expect("the demo posts orders");
    tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
    // Kafka has no codec 5.
    let batch = raw_batch::batch(5, b"whatever");
    let mut errors = BufReader::new(program.stderr.take().unwrap());
    let mut printed = String::new();
    let reported_and_away = async {
        write_batch(&kafka, &batch).await;
        while !printed.contains("cannot be read") {
            assert!(errors.read_line(&mut printed).await.unwrap() > 0, "{printed}");
        }
        // Until the broker has been away once more: it closes its connections.
        let mut broker = write_batch(&kafka, &batch).await;
        broker.read_to_end(&mut Vec::new()).await.ok();
    };
    tokio::time::timeout(REPORT_TIMEOUT, reported_and_away).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let process = program.id().unwrap().to_string();
    Command::new("kill").args(["-s", "TERM", &process]).status().await.unwrap();
    let ended = async {
        errors.read_to_string(&mut printed).await.unwrap();
        program.wait().await.unwrap()
    };
    let ended = tokio::time::timeout(STOP_TIMEOUT, ended).await.expect("the demo stops");
    assert_eq!(ended.code(), Some(130), "{printed}");
    let reports: Vec<_> = printed.lines().filter(|line| line.contains("cannot be read")).collect();
    assert_eq!(reports.len(), 1, "{printed}");
    assert!(reports.concat().contains("order.created") && reports.concat().contains("partition=2"));
}
