//! The embedded broker: requests that are not Kafka's, and its outages.

#![expect(clippy::unwrap_used, reason = "a test stops at an error")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use emulator::broker::{self, Broker};
use emulator::template::Topic;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

const TOPIC: &str = "topic";
/// Names the request that a child process sends to its broker.
const CHILD: &str = "EMULATOR_TEST_REQUEST";

/// An embedded broker with a topic.
async fn broker() -> Broker {
    let broker = Broker::embedded().unwrap();
    let topic =
        Topic { name: TOPIC.to_owned(), partitions: 1, replication_factor: 1, configs: Vec::new() };
    broker.create_topics(&[topic]).await.unwrap();
    broker
}

/// Sends bytes, and reads until the broker responds or closes the connection.
fn send(broker: &Broker, bytes: &[u8]) {
    let mut connection = TcpStream::connect(broker.bootstrap_servers()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    connection.write_all(bytes).unwrap();
    connection.read_exact(&mut [0; 4]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_request_does_not_end_the_embedded_broker() {
    let broker = broker().await;
    let produce = request("an empty record set");
    for method in ["GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "CONNECT"] {
        let length = produce.len();
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        send(&broker, &[head.as_bytes(), &produce].concat());
    }
    // The preface of HTTP/2, and the first bytes of TLS.
    send(&broker, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    for length in 0..=255 {
        send(&broker, &[0x16, 3, 1, 2, length, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0]);
    }
    assert!(broker.partitions(None).await.is_ok());
}

/// A request of Kafka with a field that its clients never send.
fn request(name: &str) -> Vec<u8> {
    // Key, version, correlation id, client id; the newer versions have an empty list of tags.
    let old_head = |key: u8, version: u8| vec![0, key, 0, version, 0, 0, 0, 1, 0, 1, b'c'];
    let head = |key, version| [old_head(key, version), vec![0]].concat();
    let produce = |records: &[u8]| {
        let before = [0xff, 0xff, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 5];
        let partition = [0, 0, 0, 1, 0, 0, 0, 0];
        [&old_head(0, 3)[..], &before, TOPIC.as_bytes(), &partition, records].concat()
    };
    let body = match name {
        "a null record set" => produce(&(-1_i32).to_be_bytes()),
        "an empty record set" => produce(&0_i32.to_be_bytes()),
        "a truncated record set" => produce(&[0, 0, 0, 3, 1, 2, 3]),
        "a length beyond the request" => produce(&i32::MAX.to_be_bytes()),
        "a heartbeat without a group" => [head(68, 1), vec![0; 16]].concat(),
        "telemetry without metrics" => [head(72, 0), vec![0; 32]].concat(),
        _ => Vec::new(),
    };
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}

/// librdkafka's mock broker trusts its clients; see docs/emulator.md.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_kafka_request_can_end_the_embedded_broker() {
    if let Ok(name) = std::env::var(CHILD) {
        let broker = broker().await;
        send(&broker, &request(&name));
        assert!(broker.partitions(None).await.is_ok());
        return;
    }
    for (name, failed_assertion) in [
        ("a null record set", Some("rd_slice_init_full")),
        ("an empty record set", Some("rd_slice_init_full")),
        ("a heartbeat without a group", Some("ConsumerGroupHeartbeat")),
        ("telemetry without metrics", Some("PushTelemetry")),
        ("a truncated record set", None),
        ("a length beyond the request", None),
        ("an empty request", None),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "a_malformed_kafka_request_can_end_the_embedded_broker"])
            .env(CHILD, name)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = broker::spawn(|| command.spawn()).unwrap().wait_with_output().unwrap();
        let output = String::from_utf8_lossy(&child.stderr);
        assert_eq!(child.status.success(), failed_assertion.is_none(), "{name}: {output}");
        assert!(output.contains(failed_assertion.unwrap_or_default()), "{name}: {output}");
    }
}

/// The signal that a program receives for each child process that has ended.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_does_not_end_the_embedded_broker() {
    let broker = broker().await;
    let mut handled = signal(SignalKind::child()).unwrap();
    let threads = mock_threads();
    assert!(!threads.is_empty());
    for thread in threads {
        // More than one, because a signal interrupts only a thread that waits.
        for _ in 0..20 {
            // A thread that does not block the signal receives it, this one if it can.
            match kill_process(thread, Signal::CHILD) {
                // The broker of another test has ended. If it is this test's, the last check fails.
                Err(Errno::SRCH) => break,
                sent => sent.unwrap(),
            }
            handled.recv().await.unwrap();
        }
    }
    assert!(broker.partitions(None).await.is_ok());
}

/// The threads of the embedded brokers of this program.
#[cfg(target_os = "linux")]
fn mock_threads() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap());
    let is_mock = |task: &std::fs::DirEntry| {
        // A thread may end meanwhile.
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "rdk:mock\n")
    };
    let id = |task: std::fs::DirEntry| task.file_name().to_str().unwrap().parse().unwrap();
    tasks.filter(is_mock).map(|task| Pid::from_raw(id(task)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_beside_starting_processes_does_not_end_the_program() {
    let broker = broker().await;
    std::thread::scope(|scope| {
        let start = || {
            let mut processes = Vec::new();
            for _ in 0..200 {
                processes.push(broker::spawn(|| Command::new("true").spawn()).unwrap());
            }
            processes
                .into_iter()
                .for_each(|mut process| assert!(process.wait().unwrap().success()));
        };
        let starts = [scope.spawn(start), scope.spawn(start)];
        while !starts.iter().all(|thread| thread.is_finished()) {
            drop(broker.outage().unwrap());
            // Less often than another program could take the port by chance.
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(broker.partitions(None).await.is_ok());
}
