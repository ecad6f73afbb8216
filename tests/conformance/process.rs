//! A process of a function, invoked as Lambda invokes it.

use std::{collections::BTreeSet, time::Duration};

use emulator::function_host::{FunctionHost, HostedFunction};
use serde_json::Value;
use tempfile::TempDir;

use crate::delivery::{Batch, Place};

pub(crate) struct Process {
    host: FunctionHost,
    function: String,
    client: reqwest::Client,
    _logs: TempDir,
}

impl Process {
    /// Starts the process and waits until it requests an event.
    pub(crate) async fn start(function: HostedFunction) -> Self {
        let logs = tempfile::tempdir().expect("a folder for logs");
        let name = function.name.clone();
        let host = FunctionHost::start(vec![function], 1, logs.path()).await;
        let host = host.unwrap_or_else(|error| panic!("{name} starts: {error}"));
        Self { host, function: name, client: reqwest::Client::new(), _logs: logs }
    }

    /// Invokes the function once.
    ///
    /// # Errors
    /// The function's error.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value, String> {
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
    pub(crate) async fn deliver(&self, batch: &Batch) -> Result<BTreeSet<Place>, String> {
        self.invoke(&batch.event()).await.map(|response| batch.failures(&response))
    }

    /// Delivers a batch in which no record may fail.
    pub(crate) async fn succeed(&self, batch: &Batch) {
        let failures = self.deliver(batch).await;
        assert_eq!(failures, Ok(BTreeSet::new()), "failed records (partition, index)");
    }

    /// Redelivers a batch until no record fails, as the mapping does.
    pub(crate) async fn redeliver(&self, batch: &Batch) {
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

    /// Kills the process with SIGKILL; the next invocation starts another one.
    pub(crate) async fn kill(&self) {
        assert_eq!(self.host.kill(&self.function).await, 1, "there is one process");
    }
}
