//! Every port that a running stack listens on refuses the pages of other hosts.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at an error")]

mod greeter;

use std::collections::BTreeSet;
use std::time::Duration;

use emulator::stack::Stack;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Longer than any delay of a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The ports of this process are those of one stack.
static ONE_STACK: Mutex<()> = Mutex::const_new(());

/// A stack that runs alone.
struct Alone {
    stack: Stack,
    _workspace: TempDir,
    _only: MutexGuard<'static, ()>,
}

impl Alone {
    async fn start() -> Self {
        let only = ONE_STACK.lock().await;
        let (stack, workspace) = greeter::start().await;
        Self { stack, _workspace: workspace, _only: only }
    }

    async fn stop(self) {
        self.stack.stop().await;
    }
}

/// The ports that this process listens on, as the kernel lists them.
fn listening_ports() -> BTreeSet<u16> {
    let own: BTreeSet<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| Some(std::fs::read_link(file.ok()?.path()).ok()?.display().to_string()))
        .collect();
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let listening = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    listening
        .filter(|fields| fields[3] == "0A" && own.contains(&format!("socket:[{}]", fields[9])))
        .map(|fields| u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap())
        .collect()
}

/// The status of the response; `None` if the port answers with nothing that a browser would read.
async fn status(port: u16, method: &str, headers: &str) -> Option<u16> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{method} / HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = vec![0; 64];
    let read = timeout(TIMEOUT, connection.read(&mut response));
    let length = read.await.ok()?.unwrap_or_default();
    let text = String::from_utf8_lossy(&response[..length]).into_owned();
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_port_refuses_foreign_hosts_and_origins() {
    let alone = Alone::start().await;
    let stack = &alone.stack;
    let ports = listening_ports();
    let url_port = |url: &str| url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let http = [
        url_port(&stack.api_url().unwrap()),
        url_port(stack.invoke_url()),
        url_port(stack.database.endpoint()),
    ];
    assert!(http.iter().all(|port| ports.contains(port)), "{http:?} in {ports:?}");
    assert!(ports.len() > http.len(), "the broker listens too: {ports:?}");
    for &port in &ports {
        let own = format!("Host: 127.0.0.1:{port}\r\n");
        for (headers, expected) in [
            ("Host: evil.example\r\n".to_owned(), 421),
            (String::new(), 421),
            (format!("{own}Origin: https://evil.example\r\n"), 403),
            (format!("{own}Origin: null\r\n"), 403),
        ] {
            for method in ["GET", "POST", "OPTIONS"] {
                let status = status(port, method, &headers).await;
                let expected = http.contains(&port).then_some(expected);
                assert_eq!(status, expected, "{method} with {headers:?} to {port}");
            }
        }
    }
    for port in http {
        let allowed = status(port, "POST", &format!("Host: localhost:{port}\r\n")).await;
        assert!(![None, Some(403), Some(421)].contains(&allowed), "{allowed:?} of {port}");
    }
    // A page of this machine may use the API, and nothing else.
    for (port, expected) in http.into_iter().zip([None, Some(403), Some(403)]) {
        let page = format!("Host: localhost:{port}\r\nOrigin: http://localhost:5173\r\n");
        let status = status(port, "POST", &page).await;
        assert_eq!(status.filter(|status| *status == 403), expected, "{port}");
    }
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_takes_no_invocation_of_another() {
    let alone = Alone::start().await;
    let stack = &alone.stack;
    let port = stack.invoke_url().rsplit(':').next().unwrap();
    // The paths of a function's first processes, as they would be without a secret.
    for path in ["greeter/1", "greeter/1/1", "greeter/1/00000000000000000000000000000000"] {
        let url = format!("http://127.0.0.1:{port}/{path}/2018-06-01/runtime/invocation/next");
        let response = timeout(TIMEOUT, http().get(&url).send()).await.unwrap().unwrap();
        assert!([404, 410].contains(&response.status().as_u16()), "{url}: {response:?}");
    }
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_large_bodies_end_and_hold_up_no_other_request() {
    let alone = Alone::start().await;
    let stack = &alone.stack;
    let url = stack.api_url().unwrap();
    let address = url.trim_start_matches("http://");
    let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 6000000\r\n\r\n{{");
    let mut slow = Vec::new();
    // Together they announce more than is received at a time.
    for _ in 0..20 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    let http = http();
    // The slow bodies end after 10 seconds.
    let small = timeout(Duration::from_secs(8), http.post(&url).body("{}").send());
    assert_eq!(small.await.unwrap().unwrap().status(), 200);
    let large = http.post(&url).body(vec![b' '; 7_000_000]).send().await;
    // The response may be lost, because the server does not read the rest.
    assert!(large.is_err() || large.is_ok_and(|response| response.status() == 413));
    for mut connection in slow {
        let mut response = vec![0; 64];
        let read = timeout(TIMEOUT, connection.read(&mut response));
        let length = read.await.unwrap().unwrap();
        let status = String::from_utf8_lossy(&response[..length]).into_owned();
        assert!(status.starts_with("HTTP/1.1 408"), "{status}");
    }
    alone.stop().await;
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
