//! Every port of the running program, as the kernel lists them: a new one is part of it at once.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::local_run::LocalRun;

/// The time for a response of HTTP.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A Kafka broker waits for the rest of what it takes for the length of a request.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

/// The address 127.0.0.1, as `/proc/net/tcp` has it.
const LOOPBACK: &str = "0100007F";

/// The paths that change something, and some that read.
const PATHS: [&str; 6] = [
    "/",
    "/orders",
    "/_page/feed",
    "/_page/mappings/ValidatorMapping/pause",
    "/_page/orders/ord-1/deliver-again",
    "/2015-03-31/functions/validator/invocations",
];

/// The addresses that a process listens on: host and port in hexadecimal, by family.
fn listening(process_id: u32) -> Vec<(&'static str, String)> {
    let own: BTreeSet<String> = fs::read_dir(format!("/proc/{process_id}/fd"))
        .unwrap()
        .filter_map(|file| Some(fs::read_link(file.ok()?.path()).ok()?.display().to_string()))
        .collect();
    let mut addresses = Vec::new();
    for family in ["tcp", "tcp6"] {
        let sockets = fs::read_to_string(format!("/proc/{process_id}/net/{family}"));
        for line in sockets.unwrap_or_default().lines() {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[3] == "0A" && own.contains(&format!("socket:[{}]", fields[9])) {
                addresses.push((family, fields[1].to_owned()));
            }
        }
    }
    addresses
}

/// The processes that this one has started, and theirs.
fn descendants(process_id: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let threads = fs::read_dir(format!("/proc/{process_id}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found
}

/// The status of the response; `None` if a browser would read nothing within this time.
async fn status(
    port: u16,
    within: Duration,
    method: &str,
    path: &str,
    headers: &str,
) -> Option<u16> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = vec![0; 64];
    let read = timeout(within, connection.read(&mut response));
    let length = read.await.ok()?.unwrap_or_default();
    let text = String::from_utf8_lossy(&response[..length]).into_owned();
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_port_of_the_program_is_local_and_refuses_foreign_hosts_and_origins() {
    let run = LocalRun::start(&[], Path::new("template.yaml")).await;
    let addresses = listening(run.process_id);
    let mut ports = BTreeSet::new();
    for (family, address) in &addresses {
        let (host, port) = address.rsplit_once(':').unwrap();
        assert_eq!((*family, host), ("tcp", LOOPBACK), "it listens beyond this machine");
        ports.insert(u16::from_str_radix(port, 16).unwrap());
    }
    let port_of = |address: &str| address.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let known = [&run.url, &run.database, &run.kafka].map(|address| port_of(address));
    assert!(known.iter().all(|port| ports.contains(port)), "{known:?} in {ports:?}");
    for child in descendants(run.process_id) {
        assert_eq!(listening(child), [], "a function's process listens");
    }
    // A server of HTTP responds to a request of this machine.
    let mut http = BTreeSet::new();
    for &port in &ports {
        let own = format!("Host: 127.0.0.1:{port}\r\n");
        let within = if port == known[2] { BROKER_TIMEOUT } else { TIMEOUT };
        if status(port, within, "GET", "/no/such/path", &own).await.is_some() {
            http.insert(port);
        }
    }
    assert!(!http.contains(&known[2]), "the broker speaks HTTP");
    assert_eq!(http.len() + 1, ports.len(), "a port is neither HTTP nor the broker: {ports:?}");
    for &port in &http {
        let own = format!("Host: 127.0.0.1:{port}\r\n");
        for (headers, expected) in [
            ("Host: evil.example\r\n".to_owned(), 421),
            (format!("Host: evil.example:{port}\r\n"), 421),
            (format!("Host: 127.0.0.1.evil.example:{port}\r\n"), 421),
            (format!("Host: localhost.:{port}@evil.example\r\n"), 421),
            (String::new(), 421),
            (format!("{own}Origin: https://evil.example\r\n"), 403),
            (format!("{own}Origin: http://127.0.0.1.evil.example\r\n"), 403),
            (format!("{own}Origin: null\r\n"), 403),
        ] {
            for method in ["GET", "POST", "OPTIONS"] {
                for path in PATHS {
                    let status = status(port, TIMEOUT, method, path, &headers).await;
                    let is_refused = status == Some(expected) || status == Some(400);
                    assert!(is_refused, "{method} {path} with {headers:?} to {port}: {status:?}");
                }
            }
        }
    }
    for method in ["GET", "POST"] {
        let headers = "Host: evil.example\r\n";
        assert_eq!(status(known[2], BROKER_TIMEOUT, method, "/", headers).await, None);
    }
    println!("{} ports, {} of them HTTP", ports.len(), http.len());
    run.stop().await;
}
