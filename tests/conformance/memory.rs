//! Peak memory of a function's process for large batches and events.

use std::{fs, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use workflow_tests::conformance::{harness::Harness, process::Process};

/// Lambda's limit for one event.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// A process of the validator whose peak memory is measured.
pub(crate) struct Measured {
    process: Process,
    marker: String,
}

impl Measured {
    pub(crate) async fn start(harness: &Harness, name: &str) -> Self {
        let broker = harness.broker().await;
        let marker = format!("{name}-{}", std::process::id());
        let settings = [("MEMORY_MARKER", marker.clone())];
        let servers = (&broker, harness.database.endpoint());
        let function = harness.function("validator", servers, &settings, Duration::from_secs(60));
        let process = Process::start(function).await;
        // The broker must outlive the process.
        std::mem::forget(broker);
        Self { process, marker }
    }

    /// Delivers these values as one batch; returns the peak memory of the process in MB.
    pub(crate) async fn deliver(&self, values: &[Vec<u8>]) -> u64 {
        let records: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(offset, value)| {
                json!({
                    "topic": "order.created", "partition": 0, "offset": offset, "timestamp": 1,
                    "headers": [], "value": BASE64_STANDARD.encode(value),
                })
            })
            .collect();
        let event =
            json!({ "eventSource": "aws:kafka", "records": { "order.created-0": records } });
        let size = event.to_string().len();
        assert!(size <= MAX_EVENT_BYTES, "the event has {size} bytes");
        let response = self.process.invoke(&event).await.expect("the batch is handled");
        assert_eq!(response, json!({ "batchItemFailures": [] }));
        self.peak_mb()
    }

    fn peak_mb(&self) -> u64 {
        let processes = fs::read_dir("/proc").expect("/proc exists").flatten();
        let marked = processes.filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&self.marker)
        });
        let peaks = marked.filter_map(|process| {
            let status = fs::read_to_string(process.path().join("status")).ok()?;
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        peaks.max().expect("the process runs") / 1024
    }
}

/// An event of the maximum size, filled with repetitions of `unit`.
pub(crate) fn largest(unit: &str, open: &str, close: &str) -> Vec<u8> {
    let head = r#"{"eventType":"OrderCreated","orderId":"ord-large","correlationId":"c","timestamp":"2026-02-06T12:00:00Z","payload":"#;
    // Base64 takes four bytes for three; 4 KB are for the rest of the event.
    let room = MAX_EVENT_BYTES / 4 * 3 - 4_096 - head.len() - open.len() - close.len();
    let units = unit.repeat(room / unit.len());
    format!("{head}{open}{}{close}}}", units.trim_end_matches(',')).into_bytes()
}

/// A usual order of three items.
pub(crate) fn usual(number: usize) -> Vec<u8> {
    json!({
        "eventType": "OrderCreated", "orderId": format!("ord-usual-{number}"),
        "correlationId": "corr-1", "timestamp": "2026-02-06T12:00:00Z",
        "payload": {
            "customerId": "cust-000123",
            "items": [
                { "sku": "SKU-000101", "quantity": 2 },
                { "sku": "SKU-000102", "quantity": 1 },
                { "sku": "SKU-000103", "quantity": 12 },
            ],
            "totalAmount": 1299.98,
        },
    })
    .to_string()
    .into_bytes()
}
