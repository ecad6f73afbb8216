//! A proxy in front of the database that counts requests and their capacity units.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use emulator::template::{SecondaryIndex, Table};
use faults::database_proxy::{DatabaseProxy, Exchange};
use serde_json::Value;

use crate::error::{Context, Result};
use crate::servers::Servers;
use crate::units::{Index, Indexes, Usage};

/// Usage by operation.
pub(crate) type Counts = BTreeMap<String, Usage>;

/// The proxy; ends when dropped.
pub(crate) struct CountingProxy {
    proxy: DatabaseProxy,
    counts: Arc<Mutex<Counts>>,
}

impl CountingProxy {
    /// Starts the proxy in front of the database's plaintext endpoint.
    pub(crate) async fn start(servers: &Servers) -> Result<Self> {
        let proxy = DatabaseProxy::start(servers.database.endpoint()).await;
        let proxy = proxy.context("cannot start the counting proxy")?;
        let tables = servers.template.tables.iter();
        let indexes = tables.map(|table| {
            let indexes = table.indexes.iter().map(|index| described(table, index)).collect();
            (servers.database.table_name(&table.logical_id), indexes)
        });
        let indexes = Indexes(indexes.collect());
        let counts = Arc::<Mutex<Counts>>::default();
        let all = Arc::clone(&counts);
        proxy.observe(move |exchange| count(exchange, &indexes, &all));
        Ok(Self { proxy, counts })
    }

    pub(crate) fn url(&self) -> &str {
        &self.proxy.url
    }

    /// The counts since the previous call.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
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

fn count(exchange: &Exchange, indexes: &Indexes, counts: &Mutex<Counts>) {
    let Some(reply) = &exchange.executed else { return };
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let usage = indexes.usage(&exchange.operation, &read(&exchange.request), &read(&reply.body));
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.entry(exchange.operation.clone()).or_default().add(usage);
}
