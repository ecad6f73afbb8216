//! The function host behaves as Lambda does, for functions and for their callers.

#![expect(clippy::unwrap_used, reason = "a test stops at an error")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use emulator::broker::Broker;
use emulator::function_host::{FunctionHost, HostError, HostedFunction, PAYLOAD_LIMIT};
use emulator::invoke::{FunctionError, InvokeClient, InvokeError, InvokeResponse};
use emulator::template::FunctionName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NAME: &str = "greeter";

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
        timeout: Duration::from_secs(2),
        memory_mb: 256,
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

async fn host(processes: usize) -> Hosted {
    let logs = tempfile::tempdir().unwrap();
    let functions = vec![function(&[("GREETING", "hello")])];
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
    let event = json!({ "do": "sleep", "seconds": 0.2 });
    let responses = futures::future::join_all((0..6).map(|_| hosted.returned(&event))).await;
    let mut processes: Vec<_> = responses.iter().map(|response| response["pid"].as_u64()).collect();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), 2);
    hosted.host.stop().await;
}

#[tokio::test]
async fn slow_requests_do_not_delay_the_batches_of_mappings() {
    let hosted = host(1).await;
    let request = json!({ "requestContext": {}, "do": "sleep", "seconds": 1.5 });
    let waiting = async { tokio::join!(hosted.returned(&request), hosted.returned(&request)) };
    let batch = async {
        // Both requests are in flight once each has a process.
        while hosted.host.process_ids(NAME).len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = std::time::Instant::now();
        hosted.returned(&json!({ "records": {} })).await;
        began.elapsed()
    };
    let (responses, took) = tokio::join!(waiting, batch);
    assert_ne!(responses.0["pid"], responses.1["pid"]);
    assert!(took < Duration::from_secs(1), "the batch waited {took:?}");
    hosted.host.stop().await;
}

#[tokio::test]
async fn waiting_requests_delay_no_other_request_and_are_throttled_beyond_their_limit() {
    let hosted = host(1).await;
    let wait = json!({
        "requestContext": {}, "headers": { "prefer": "wait=9" }, "do": "sleep", "seconds": 1.5,
    });
    let waits = futures::future::join_all((0..4).map(|_| hosted.returned(&wait)));
    let others = async {
        while hosted.host.process_ids(NAME).len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = std::time::Instant::now();
        let event = Bytes::from(wait.to_string());
        let throttled = hosted.invoke.invoke(&hosted.name, event).await.unwrap_err();
        assert!(matches!(throttled, InvokeError::Service { status: 429, .. }), "{throttled}");
        for prefer in ["wait=0", "respond-async"] {
            let request = json!({ "requestContext": {}, "headers": { "prefer": prefer } });
            assert_eq!(hosted.returned(&request).await["greeting"], "hello");
        }
        began.elapsed()
    };
    let (waits, took) = tokio::join!(waits, others);
    assert!(waits.iter().all(|response| response["greeting"] == "hello"), "{waits:?}");
    assert!(took < Duration::from_secs(1), "the requests waited {took:?}");
    // A waiting request may run again.
    assert_eq!(hosted.returned(&wait).await["greeting"], "hello");
    hosted.host.stop().await;
}

#[tokio::test]
async fn a_request_whose_caller_has_disconnected_leaves_the_queue() {
    let hosted = host(1).await;
    let slow = json!({ "requestContext": {}, "do": "sleep", "seconds": 0.8 });
    let running = futures::future::join_all((0..4).map(|_| hosted.returned(&slow)));
    let rest = async {
        while hosted.host.process_ids(NAME).len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let abandoned = (0..12)
            .map(|_| tokio::time::timeout(Duration::from_millis(100), hosted.returned(&slow)));
        for gone in futures::future::join_all(abandoned).await {
            gone.unwrap_err();
        }
        let began = std::time::Instant::now();
        hosted.returned(&json!({ "requestContext": {} })).await;
        began.elapsed()
    };
    let (_, took) = tokio::join!(running, rest);
    assert!(took < Duration::from_millis(1_200), "the request waited {took:?}");
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
    let hosted = host(1).await;
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
    let event = json!({ "do": "sleep", "seconds": 60 });
    let (error, killed) = futures::future::join(hosted.failure(&event), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
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
    let waited = tokio::time::timeout(Duration::from_secs(5), async {
        while hosted.host.outcomes().snapshot().get(&counted) != Some(&2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
    let log = std::fs::read_to_string(hosted.logs.path().join("greeter.log")).unwrap();
    assert_eq!(log.lines().count(), 2);
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
    broker.mock().unwrap().broker_down(1).unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(5), connection.read(&mut response)).await;
    assert!(rest.is_ok(), "the connection is still open");
    hosted.host.stop().await;
}
