//! Lambda's `platform.report` record, in the JSON format of a function's log.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Number, json};

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    Success,
    Error,
    Timeout,
}

/// One invocation in the log.
pub(super) struct Report<'a> {
    pub(super) request_id: &'a str,
    pub(super) status: Status,
    pub(super) duration: Duration,
    /// For the first invocation of a process.
    pub(super) init_duration: Option<Duration>,
    pub(super) memory_mb: u64,
    pub(super) peak_mb: Option<u64>,
}

impl Report<'_> {
    /// The record as a line.
    pub(super) fn line(&self, time: Timestamp) -> String {
        let metrics = Metrics {
            duration_ms: milliseconds(self.duration),
            billed_duration_ms: self.billed_ms(),
            memory_size_mb: self.memory_mb,
            max_memory_used_mb: self.peak_mb,
            init_duration_ms: self.init_duration.and_then(milliseconds),
        };
        let record =
            json!({ "requestId": self.request_id, "metrics": metrics, "status": self.status });
        let time = format!("{time:.3}");
        format!("{}\n", json!({ "time": time, "type": "platform.report", "record": record }))
    }

    /// Lambda bills initialization too, in whole milliseconds.
    fn billed_ms(&self) -> u128 {
        let billed = self.duration.saturating_add(self.init_duration.unwrap_or_default());
        billed.as_nanos().div_ceil(1_000_000)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    duration_ms: Option<Number>,
    billed_duration_ms: u128,
    #[serde(rename = "memorySizeMB")]
    memory_size_mb: u64,
    #[serde(rename = "maxMemoryUsedMB", skip_serializing_if = "Option::is_none")]
    max_memory_used_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_duration_ms: Option<Number>,
}

/// With two decimals, as Lambda writes them.
fn milliseconds(duration: Duration) -> Option<Number> {
    let hundredths = duration.as_micros() / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_record_as_lambda_writes_it() {
        let mut report = Report {
            request_id: "id",
            status: Status::Success,
            duration: Duration::from_micros(693_924),
            init_duration: Some(Duration::from_micros(397_680)),
            memory_mb: 256,
            peak_mb: Some(84),
        };
        let time = "2022-10-12T00:01:15Z".parse().unwrap();
        assert_eq!(
            report.line(time),
            "{\"time\":\"2022-10-12T00:01:15.000Z\",\"type\":\"platform.report\",\"record\":\
             {\"requestId\":\"id\",\"metrics\":{\"durationMs\":693.92,\"billedDurationMs\":1092,\
             \"memorySizeMB\":256,\"maxMemoryUsedMB\":84,\"initDurationMs\":397.68},\
             \"status\":\"success\"}}\n"
        );
        report.init_duration = None;
        report.peak_mb = None;
        report.status = Status::Timeout;
        let line = report.line(time);
        assert!(line.contains("\"billedDurationMs\":694,\"memorySizeMB\":256},"), "{line}");
        assert!(line.contains("\"status\":\"timeout\""), "{line}");
    }
}
