//! A proxy in front of the database that counts requests and their capacity units.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use emulator::template::{SecondaryIndex, Table};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Context, Result};
use crate::servers::Servers;
use crate::units::{Index, Indexes, Usage};
use crate::upstream::{Upstream, operation};

/// Usage by operation.
pub(crate) type Counts = BTreeMap<String, Usage>;

/// The proxy; ends when dropped.
pub(crate) struct CountingProxy {
    pub(crate) url: String,
    counts: Arc<Mutex<Counts>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Counter {
    upstream: Upstream,
    indexes: Arc<Indexes>,
    counts: Arc<Mutex<Counts>>,
}

impl CountingProxy {
    /// Starts the proxy in front of the database's plaintext endpoint.
    pub(crate) async fn start(servers: &Servers) -> Result<Self> {
        let failed = "cannot start the counting proxy";
        let listener = TcpListener::bind("127.0.0.1:0").await.context(failed)?;
        let url = format!("http://{}", listener.local_addr().context(failed)?);
        let tables = servers.template.tables.iter();
        let indexes = tables.map(|table| {
            let indexes = table.indexes.iter().map(|index| described(table, index)).collect();
            (servers.database.table_name(&table.logical_id), indexes)
        });
        let counts = Arc::default();
        let counter = Counter {
            upstream: Upstream::new(servers.database.endpoint())?,
            indexes: Arc::new(Indexes(indexes.collect())),
            counts: Arc::clone(&counts),
        };
        let app = Router::new().fallback(forward).with_state(counter);
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.ok();
        });
        Ok(Self { url, counts, server })
    }

    /// The counts since the previous call.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn described(table: &Table, index: &SecondaryIndex) -> Index {
    let key: Vec<String> = index.key.iter().map(|element| element.attribute.clone()).collect();
    let others = table.key.iter().map(|element| element.attribute.clone());
    let projected = (index.projection != "ALL").then(|| {
        let others = others.chain(index.non_key_attributes.iter().cloned());
        key.iter().cloned().chain(others).collect()
    });
    Index { key, projected }
}

async fn forward(State(counter): State<Counter>, headers: HeaderMap, body: Bytes) -> Response {
    let operation = operation(&headers);
    let reply = match counter.upstream.send(headers, body.clone()).await {
        Ok(reply) => reply,
        Err(status) => return status,
    };
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let usage = counter.indexes.usage(&operation, &read(&body), &read(&reply.body));
    let mut counts = counter.counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.entry(operation).or_default().add(usage);
    drop(counts);
    reply.into_response()
}
