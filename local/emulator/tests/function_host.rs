//! The function host behaves as Lambda does, for functions and for their callers.

#![expect(clippy::unwrap_used, reason = "a test stops at an error")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use emulator::broker::{self, Broker};
use emulator::function_host::{FunctionHost, HostError, HostedFunction, PAYLOAD_LIMIT};
use emulator::invoke::{FunctionError, InvokeClient, InvokeError, InvokeResponse};
use emulator::template::FunctionName;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const NAME: &str = "greeter";

/// Longer than any delay of a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

struct Hosted {
    host: FunctionHost,
    invoke: InvokeClient,
    name: FunctionName,
    logs: TempDir,
}

fn function(environment: &[(&str, &str)]) -> HostedFunction {
    HostedFunction {
        name: NAME.to_owned(),
        executable: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/function.py"),
        timeout: TIMEOUT,
        memory_mb: 256,
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

async fn host(processes: usize) -> Hosted {
    host_of(function(&[("GREETING", "hello")]), processes).await
}

/// One process, whose invocations have two seconds.
async fn host_with_short_timeout() -> Hosted {
    let timeout = Duration::from_secs(2);
    host_of(HostedFunction { timeout, ..function(&[("GREETING", "hello")]) }, 1).await
}

async fn host_of(function: HostedFunction, processes: usize) -> Hosted {
    let logs = tempfile::tempdir().unwrap();
    let functions = vec![function];
    let host = FunctionHost::start(functions, processes, logs.path()).await.unwrap();
    let invoke = InvokeClient::new(&host.url());
    let name = FunctionName { binary: NAME.to_owned(), logical_id: "GreeterFunction".to_owned() };
    Hosted { host, invoke, name, logs }
}

impl Hosted {
    async fn invoke(&self, event: &Value) -> InvokeResponse {
        self.invoke.invoke(&self.name, Bytes::from(event.to_string())).await.unwrap()
    }

    async fn returned(&self, event: &Value) -> Value {
        match self.invoke(event).await {
            InvokeResponse::Returned(body) => serde_json::from_slice(&body).unwrap(),
            InvokeResponse::Failed(error) => json!({ "error": error.error_message }),
        }
    }

    /// An event whose invocation goes on until [`Self::release`].
    fn held(&self) -> Value {
        json!({ "requestContext": {}, "do": "hold", "until": self.logs.path().join("release") })
    }

    fn release(&self) {
        std::fs::write(self.logs.path().join("release"), "").unwrap();
    }

    async fn until_processes(&self, number: usize) {
        eventually("too few processes", || self.host.process_ids(NAME).len() >= number).await;
    }

    fn log(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.logs.path().join("greeter.log")).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn reports(&self) -> Vec<Value> {
        let lines = self.log().into_iter();
        let reports = lines.filter(|line| line["type"] == "platform.report");
        reports.filter_map(|line| line.get("record").cloned()).collect()
    }

    async fn failure(&self, event: &Value) -> FunctionError {
        match self.invoke(event).await {
            InvokeResponse::Failed(error) => error,
            InvokeResponse::Returned(body) => FunctionError {
                error_message: String::from_utf8_lossy(&body).into_owned(),
                error_type: "none".to_owned(),
            },
        }
    }
}

/// The field of `/proc/PID/stat`: `T` is stopped by a signal, `Z` has exited.
fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(TIMEOUT, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

async fn frozen(process: u32) {
    eventually("the process is not frozen", || state(process) == Some('T')).await;
}

/// As another program would.
fn kill(process: u32) {
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    rustix::process::kill_process(process, Signal::KILL).unwrap();
}

/// The lines that the emulator logs.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_event_reaches_the_function_and_its_response_the_caller() {
    let hosted = host(2).await;
    let response = hosted.returned(&json!({ "number": 1 })).await;
    assert_eq!(response["event"], json!({ "number": 1 }));
    assert_eq!(response["greeting"], "hello");
    assert_eq!(response["inherited"], Value::Null, "a function gets only its own variables");
    assert_eq!(hosted.host.process_ids(NAME).len(), 1, "one warm process serves one caller");
    hosted.host.stop().await;
}

#[tokio::test]
async fn callers_at_the_same_time_get_processes_up_to_the_limit() {
    let hosted = host(2).await;
    let mut event = hosted.held();
    // An invocation of a mapping.
    event.as_object_mut().unwrap().remove("requestContext");
    let callers = futures::future::join_all((0..6).map(|_| hosted.returned(&event)));
    let release = async {
        hosted.until_processes(2).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        hosted.release();
    };
    let (responses, ()) = tokio::join!(callers, release);
    let mut processes: Vec<_> = responses.iter().map(|response| response["pid"].as_u64()).collect();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), 2);
    hosted.host.stop().await;
}

#[tokio::test]
async fn slow_requests_do_not_delay_the_batches_of_mappings() {
    let hosted = host(1).await;
    let request = hosted.held();
    let requests = async { tokio::join!(hosted.returned(&request), hosted.returned(&request)) };
    let batch = async {
        hosted.until_processes(2).await;
        assert_eq!(hosted.returned(&json!({ "records": {} })).await["greeting"], "hello");
        hosted.release();
    };
    let (responses, ()) = tokio::join!(requests, batch);
    assert!(responses.0["pid"].is_number() && responses.1["pid"].is_number(), "{responses:?}");
    assert_ne!(responses.0["pid"], responses.1["pid"]);
    hosted.host.stop().await;
}

#[tokio::test]
async fn waiting_requests_delay_no_other_request_and_are_throttled_beyond_their_limit() {
    let hosted = host(1).await;
    let mut wait = hosted.held();
    wait["headers"] = json!({ "prefer": "wait=9" });
    let waits = futures::future::join_all((0..4).map(|_| hosted.returned(&wait)));
    let others = async {
        hosted.until_processes(4).await;
        let event = Bytes::from(wait.to_string());
        let throttled = hosted.invoke.invoke(&hosted.name, event).await.unwrap_err();
        assert!(matches!(throttled, InvokeError::Service { status: 429, .. }), "{throttled}");
        for prefer in ["wait=0", "respond-async"] {
            let request = json!({ "requestContext": {}, "headers": { "prefer": prefer } });
            assert_eq!(hosted.returned(&request).await["greeting"], "hello");
        }
        hosted.release();
    };
    let (waits, ()) = tokio::join!(waits, others);
    assert!(waits.iter().all(|response| response["greeting"] == "hello"), "{waits:?}");
    // A waiting request may run again.
    assert_eq!(hosted.returned(&wait).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_request_whose_caller_has_disconnected_leaves_the_queue() {
    let hosted = host(1).await;
    let held = hosted.held();
    let running = futures::future::join_all((0..4).map(|_| hosted.returned(&held)));
    let rest = async {
        hosted.until_processes(4).await;
        let abandoned = (0..12)
            .map(|_| tokio::time::timeout(Duration::from_millis(100), hosted.returned(&held)));
        for gone in futures::future::join_all(abandoned).await {
            gone.unwrap_err();
        }
        let next = async {
            // Behind the abandoned requests in the queue.
            tokio::time::sleep(Duration::from_secs(1)).await;
            hosted.release();
        };
        let last = json!({ "requestContext": {} });
        tokio::join!(hosted.returned(&last), next).0
    };
    let (running, last) = tokio::join!(running, rest);
    assert_eq!(last["greeting"], "hello");
    assert_eq!(hosted.reports().len(), running.len() + 1, "an abandoned request has run");
    hosted.host.stop().await;
}

#[tokio::test]
async fn an_error_of_the_function_is_passed_on() {
    let hosted = host(1).await;
    let error = hosted.failure(&json!({ "do": "fail" })).await;
    assert_eq!(
        (error.error_type.as_str(), error.error_message.as_str()),
        ("Requested", "as requested")
    );
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_function_that_exits_is_started_again_for_the_next_event() {
    let hosted = host(1).await;
    let error = hosted.failure(&json!({ "do": "exit" })).await;
    assert_eq!(error.error_type, "Runtime.ExitError");
    assert!(error.error_message.contains("exit status 3"), "{}", error.error_message);
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_stopped() {
    let hosted = host_with_short_timeout().await;
    let error = hosted.failure(&json!({ "do": "sleep", "seconds": 60 })).await;
    assert!(
        error.error_message.contains("timed out after 2.00 seconds"),
        "{}",
        error.error_message
    );
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_killed_function_fails_its_event_and_nothing_else() {
    let hosted = host(1).await;
    let process = hosted.host.process_ids(NAME)[0];
    frozen(process).await;
    let event = json!({ "do": "sleep", "seconds": 60 });
    let (error, killed) = futures::future::join(hosted.failure(&event), async {
        eventually("the event is not handled", || state(process) != Some('T')).await;
        hosted.host.kill(NAME).await
    })
    .await;
    assert_eq!(killed, 1);
    assert!(error.error_message.contains("signal: killed"), "{}", error.error_message);
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");

    assert_eq!(hosted.host.kill(NAME).await, 1, "an idle process can be killed as well");
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_process_is_frozen_between_invocations() {
    let hosted = host(1).await;
    let process = hosted.host.process_ids(NAME)[0];
    frozen(process).await;
    let file = hosted.logs.path().join("count");
    let count = || std::fs::read_to_string(&file).unwrap_or_default();
    // One invocation may be too short for the thread to run.
    let until_counted = async |before: &str| {
        let mut invocations = 0;
        while count() == before {
            assert!(invocations < 100, "the background thread did not continue");
            invocations += 1;
            let response = hosted.returned(&json!({ "do": "sleep", "seconds": 0.1 })).await;
            assert_eq!(response["pid"], process);
        }
    };
    hosted.returned(&json!({ "do": "count", "file": file })).await;
    until_counted("").await;
    frozen(process).await;
    let before = count();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(count(), before, "the background thread ran");
    until_counted(&before).await;
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_frozen_process_can_be_killed_and_is_replaced() {
    let hosted = host(1).await;
    let first = hosted.host.process_ids(NAME)[0];
    frozen(first).await;
    assert_eq!(hosted.host.kill(NAME).await, 1);
    assert_eq!(state(first), None);
    let second = u32::try_from(hosted.returned(&json!({})).await["pid"].as_u64().unwrap()).unwrap();
    assert_ne!(second, first);
    frozen(second).await;
    kill(second);
    eventually("the exit is not noticed", || hosted.host.process_ids(NAME).is_empty()).await;
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_process_that_requests_no_further_event_is_killed_at_its_timeout() {
    let hosted = host_with_short_timeout().await;
    let response = hosted.returned(&json!({ "do": "linger", "seconds": 60 })).await;
    assert_eq!(response["greeting"], "hello", "the response does not wait for the request");
    eventually("the process runs", || hosted.host.process_ids(NAME).is_empty()).await;

    let response = hosted.returned(&json!({ "do": "linger", "seconds": 60 })).await;
    let next = hosted.returned(&json!({})).await;
    assert_eq!(next["greeting"], "hello", "the next event waits for another process");
    assert_ne!(next["pid"], response["pid"]);
    hosted.host.stop().await;
}

#[tokio::test]
async fn no_frozen_process_outlives_a_killed_emulator() {
    const ROLE: &str = "EMULATOR_TO_KILL";
    if std::env::var_os(ROLE).is_some() {
        let hosted = host(1).await;
        let process = hosted.host.process_ids(NAME)[0];
        frozen(process).await;
        io::stderr().write_all(format!("{process}\n").as_bytes()).unwrap();
        return std::future::pending().await;
    }
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "no_frozen_process_outlives_a_killed_emulator", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut emulator = broker::spawn(|| command.spawn()).unwrap();
    let mut lines = BufReader::new(emulator.stderr.take().unwrap()).lines();
    let process = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Ok(process) = line.parse() {
            break process;
        }
    };
    assert_eq!(state(process), Some('T'));
    emulator.kill().await.unwrap();
    eventually("the process remains", || matches!(state(process), None | Some('Z'))).await;
}

#[tokio::test]
async fn a_process_above_its_memory_limit_is_killed() {
    let warnings = Warnings::default();
    let subscriber = {
        let writer = warnings.clone();
        tracing_subscriber::fmt().with_writer(move || writer.clone()).finish()
    };
    let _guard = tracing::subscriber::set_default(subscriber);
    let hosted = host(1).await;
    let below = json!({ "do": "allocate", "megabytes": 100, "seconds": 0.3 });
    assert_eq!(hosted.returned(&below).await["greeting"], "hello");
    let error = hosted.failure(&json!({ "do": "allocate", "megabytes": 300, "seconds": 60 })).await;
    assert_eq!(error.error_type, "Runtime.ExitError");
    assert!(
        error.error_message.ends_with("Error: Runtime exited with error: signal: killed"),
        "{}",
        error.error_message
    );
    let report = &hosted.reports()[1];
    let peak = report["metrics"]["maxMemoryUsedMB"].as_u64().unwrap();
    assert!((257..400).contains(&peak), "{report}");
    assert_eq!(report["status"], "error");
    let warning = format!("{NAME} used {peak} MB and was killed: its limit is 256 MB (MemorySize)");
    assert!(warnings.text().contains(&warning), "{}", warnings.text());
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_missing_variable_stops_the_start_with_the_functions_message() {
    let logs = tempfile::tempdir().unwrap();
    let functions = vec![function(&[("FAIL_AT_START", "1")])];
    let error = FunctionHost::start(functions, 2, logs.path()).await.err().unwrap();
    let HostError::Init { function, message } = error else { panic!("{error}") };
    assert_eq!(function, NAME);
    assert!(message.contains("GREETING is not set: give it a text"), "{message}");
}

#[tokio::test]
async fn the_error_of_a_missing_executable_names_it() {
    let logs = tempfile::tempdir().unwrap();
    let missing =
        HostedFunction { executable: PathBuf::from("/no/such/function"), ..function(&[]) };
    let error = FunctionHost::start(vec![missing], 1, logs.path()).await.err().unwrap();
    assert!(error.to_string().contains("cannot run /no/such/function"), "{error}");
}

#[tokio::test]
async fn an_unknown_function_and_an_event_too_large_are_rejected() {
    let hosted = host(1).await;
    let unknown = FunctionName { binary: "none".to_owned(), logical_id: "NoneFunction".to_owned() };
    let error = hosted.invoke.invoke(&unknown, Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(matches!(&error, InvokeError::NoSuchFunction { function, .. } if function == "none"));

    let event = Bytes::from(vec![b' '; PAYLOAD_LIMIT + 1]);
    let error = hosted.invoke.invoke(&hosted.name, event).await.unwrap_err();
    assert!(matches!(error, InvokeError::TooLarge { .. }), "{error}");
    hosted.host.stop().await;
}

#[tokio::test]
async fn the_output_of_a_function_is_logged_and_its_outcomes_are_counted() {
    let hosted = host(1).await;
    hosted.returned(&json!({})).await;
    hosted.returned(&json!({})).await;
    let counted = ("test".to_owned(), "accepted".to_owned());
    let is_counted = || hosted.host.outcomes().snapshot().get(&counted) == Some(&2);
    eventually("the outcomes are not counted", is_counted).await;
    let lines = hosted.log();
    assert_eq!(lines.iter().filter(|line| line["outcome"] == "accepted").count(), 2);
    hosted.host.stop().await;
}

#[tokio::test]
async fn every_invocation_is_reported_in_the_log() {
    let hosted = host_with_short_timeout().await;
    for event in [
        json!({ "do": "sleep", "seconds": 0.05 }),
        json!({ "do": "fail" }),
        json!({ "do": "exit" }),
        json!({ "do": "sleep", "seconds": 60 }),
    ] {
        hosted.returned(&event).await;
    }
    let reports = hosted.reports();
    let statuses: Vec<_> = reports.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["success", "error", "error", "timeout"]);
    let metrics = |index: usize| &reports[index]["metrics"];
    let initialized: Vec<_> = (0..4).map(|it| metrics(it)["initDurationMs"].is_number()).collect();
    assert_eq!(initialized, [true, false, false, true], "the first invocation of a process");
    assert!(metrics(0)["durationMs"].as_f64().unwrap() >= 50.0, "{}", metrics(0));
    assert!(metrics(3)["durationMs"].as_f64().unwrap() >= 2_000.0, "{}", metrics(3));
    for report in &reports {
        let metrics = &report["metrics"];
        assert!(report["requestId"].as_str().unwrap().len() == 36, "{report}");
        assert_eq!(metrics["memorySizeMB"], 256);
        let duration = metrics["durationMs"].as_f64().unwrap();
        let initialization = metrics["initDurationMs"].as_f64().unwrap_or_default();
        let billed = metrics["billedDurationMs"].as_f64().unwrap();
        assert!((billed - duration - initialization).abs() <= 1.01, "{metrics}");
    }
    let peak = metrics(0)["maxMemoryUsedMB"].as_u64().unwrap();
    assert!((1..256).contains(&peak), "{peak} MB");
    hosted.host.stop().await;
}

#[tokio::test]
async fn no_process_outlives_the_host() {
    let hosted = host(2).await;
    let processes = hosted.host.process_ids(NAME);
    hosted.host.stop().await;
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}")).exists());
    }
}

#[tokio::test]
async fn a_function_does_not_keep_a_connection_of_the_embedded_broker_open() {
    let broker = Broker::embedded().unwrap();
    let mut connection = TcpStream::connect(broker.bootstrap_servers()).await.unwrap();
    // ApiVersions, version 0: the response shows that the broker has accepted the connection.
    let api_versions = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    connection.write_all(&api_versions).await.unwrap();
    let size = connection.read_u32().await.unwrap();
    let mut response = vec![0; usize::try_from(size).unwrap()];
    connection.read_exact(&mut response).await.unwrap();

    let hosted = host(1).await;
    assert_eq!(hosted.returned(&json!({})).await["greeting"], "hello");
    let _outage = broker.outage().unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(5), connection.read(&mut response)).await;
    assert!(rest.is_ok(), "the connection is still open");
    hosted.host.stop().await;
}
