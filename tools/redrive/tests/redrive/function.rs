//! The function `redrive`, hosted as Lambda would host it.

use std::time::Duration;

use axum::body::Bytes;
use emulator::function_host::{FunctionHost, HostedFunction};
use emulator::invoke::{FunctionError, InvokeClient, InvokeResponse};
use emulator::template::FunctionName;
use serde_json::Value;
use tempfile::TempDir;

use super::harness::Harness;

const NAME: &str = "redrive-function";

pub(crate) struct Function {
    host: FunctionHost,
    invoke: InvokeClient,
    _logs: TempDir,
}

impl Function {
    /// Starts it with this limit for an invocation.
    pub(crate) async fn start(harness: &Harness, timeout: Duration) -> Self {
        Self::start_with(harness, timeout, &[]).await
    }

    /// Like [`Self::start`], with further environment variables.
    pub(crate) async fn start_with(
        harness: &Harness,
        timeout: Duration,
        variables: &[(&str, &str)],
    ) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let function = HostedFunction {
            name: NAME.to_owned(),
            executable: env!("CARGO_BIN_EXE_redrive-function").into(),
            timeout,
            memory_mb: 256,
            environment: [
                ("KAFKA_BOOTSTRAP_SERVERS", harness.broker.bootstrap_servers()),
                ("KAFKA_SIGN_IN", "NONE"),
            ]
            .iter()
            .chain(variables)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        };
        let host = FunctionHost::start(vec![function], 1, logs.path()).await.unwrap();
        Self { invoke: InvokeClient::new(&host.url()), host, _logs: logs }
    }

    async fn invoke(&self, payload: &Value) -> InvokeResponse {
        let name =
            FunctionName { binary: NAME.to_owned(), logical_id: "RedriveFunction".to_owned() };
        self.invoke.invoke(&name, Bytes::from(payload.to_string())).await.unwrap()
    }

    pub(crate) async fn result(&self, payload: Value) -> Value {
        match self.invoke(&payload).await {
            InvokeResponse::Returned(body) => serde_json::from_slice(&body).unwrap(),
            InvokeResponse::Failed(error) => panic!("{payload}: {error:?}"),
        }
    }

    /// The size of the response in bytes.
    pub(crate) async fn result_bytes(&self, payload: Value) -> usize {
        match self.invoke(&payload).await {
            InvokeResponse::Returned(body) => body.len(),
            InvokeResponse::Failed(error) => panic!("{payload}: {error:?}"),
        }
    }

    pub(crate) async fn error(&self, payload: Value) -> FunctionError {
        match self.invoke(&payload).await {
            InvokeResponse::Failed(error) => error,
            InvokeResponse::Returned(body) => panic!("{payload}: {body:?}"),
        }
    }

    pub(crate) async fn stop(self) {
        self.host.stop().await;
    }
}
