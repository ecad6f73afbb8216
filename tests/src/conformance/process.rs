//! A process of a function, invoked as Lambda invokes it.

use std::{collections::BTreeSet, time::Duration};

use emulator::function_host::{FunctionHost, HostedFunction};
use serde_json::Value;
use tempfile::TempDir;

use super::delivery::{Batch, Place};

pub struct Process {
    host: FunctionHost,
    function: String,
    client: reqwest::Client,
    logs: TempDir,
}

impl Process {
    /// Starts the process and waits until it requests an event.
    pub async fn start(function: HostedFunction) -> Self {
        let logs = tempfile::tempdir().expect("a folder for logs");
        let name = function.name.clone();
        let host = FunctionHost::start(vec![function], 1, logs.path()).await;
        let host = host.unwrap_or_else(|error| panic!("{name} starts: {error}"));
        Self { host, function: name, client: crate::http_client(), logs }
    }

    /// Invokes the function once.
    ///
    /// # Errors
    /// The function's error.
    pub async fn invoke(&self, event: &Value) -> Result<Value, String> {
        let function = &self.function;
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.host.url());
        let request = self.client.post(url).body(event.to_string());
        let response = request.send().await.expect("the Invoke API responds");
        let is_error = response.headers().contains_key("x-amz-function-error");
        let body: Value = response.json().await.expect("the response is JSON");
        if is_error { Err(body.to_string()) } else { Ok(body) }
    }

    /// Delivers a batch in one invocation; returns the failed records.
    ///
    /// # Errors
    /// The function's error.
    pub async fn deliver(&self, batch: &Batch) -> Result<BTreeSet<Place>, String> {
        self.invoke(&batch.event()).await.map(|response| batch.failures(&response))
    }

    /// Delivers a batch in which no record may fail.
    pub async fn succeed(&self, batch: &Batch) {
        let failures = self.deliver(batch).await;
        assert_eq!(failures, Ok(BTreeSet::new()), "failed records (partition, index)");
    }

    /// Redelivers a batch until no record fails, as the mapping does.
    pub async fn redeliver(&self, batch: &Batch) {
        const ATTEMPTS: usize = 3;
        let mut failures = Ok(BTreeSet::new());
        for _ in 0..ATTEMPTS {
            failures = self.deliver(batch).await;
            if failures == Ok(BTreeSet::new()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("still failing after {ATTEMPTS} deliveries: {failures:?}");
    }

    /// The lines that its function has written, and the reports of its invocations.
    pub fn log(&self) -> String {
        let file = self.logs.path().join(format!("{}.log", self.function));
        std::fs::read_to_string(file).expect("the log is read")
    }

    /// Waits until the process is frozen (stopped by a signal), as between two invocations.
    pub async fn frozen(&self) {
        const TIMEOUT: Duration = Duration::from_secs(10);
        let ids = self.host.process_ids(&self.function);
        let wait = async {
            while ids.iter().any(|id| state(*id) != Some('T')) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, wait).await.expect("the process is frozen");
    }

    /// Kills the process with SIGKILL; the next invocation starts another one.
    pub async fn kill(&self) {
        assert_eq!(self.host.kill(&self.function).await, 1, "there is one process");
    }
}

/// The state in `/proc/PID/stat`: `T` is stopped by a signal.
fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}
