//! The program `audit` as an operator runs it, and the tables that it reads.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    path::Path,
    process::Stdio,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use emulator::broker;
use engine::{Row, row::Item};
use serde_json::Value;
use tokio::process::Command;

const TIMEOUT: Duration = Duration::from_secs(300);

/// The most rows of one request.
const MAX_ROWS: usize = 25;

/// The result of an audit with `--json`.
#[derive(Debug)]
pub(crate) struct Audited {
    pub(crate) status: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl Audited {
    /// The kind and the subject of each finding.
    pub(crate) fn findings(&self) -> Vec<(String, String)> {
        let findings = self.report["findings"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        findings.iter().map(|it| (text(it, "kind"), text(it, "subject"))).collect()
    }
}

/// Runs `audit --json` with these variables and arguments.
pub(crate) async fn audit(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Audited {
    run(program().args(arguments).envs(environment)).await
}

/// Runs `audit --json` in a folder, with the settings of the `up` that runs there.
pub(crate) async fn audit_in(folder: &Path, arguments: &[&str]) -> Audited {
    run(program().args(arguments).current_dir(folder)).await
}

fn program() -> Command {
    // Another build of the program, to measure it.
    let program =
        env::var("AUDIT_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_audit").to_owned());
    let mut command = Command::new(program);
    command.arg("--json");
    command
}

async fn run(command: &mut Command) -> Audited {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let program = broker::spawn(|| command.spawn()).unwrap();
    let output = tokio::time::timeout(TIMEOUT, program.wait_with_output());
    let output = output.await.unwrap().unwrap();
    Audited {
        status: output.status.code().unwrap(),
        report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The client of a database, with the names of the workflow's tables.
pub(crate) struct Database {
    pub(crate) client: Client,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Database {
    pub(crate) fn table(&self, variable: &str) -> &str {
        &self.environment[variable]
    }

    pub(crate) async fn insert(&self, rows: &[Row]) {
        for rows in rows.chunks(MAX_ROWS) {
            let put = |row: &Row| {
                let put = PutRequest::builder().set_item(Some(row.to_item())).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            };
            let requests = rows.iter().map(put).collect();
            let write = self.client.batch_write_item();
            let write = write.request_items(self.table("ORDERS_TABLE"), requests);
            write.send().await.unwrap();
        }
    }

    pub(crate) async fn put(&self, table: &str, item: Item) {
        let put = self.client.put_item().table_name(self.table(table)).set_item(Some(item));
        put.send().await.unwrap();
    }

    pub(crate) async fn get(&self, table: &str, key: Item) -> Option<Item> {
        let get = self.client.get_item().table_name(self.table(table)).set_key(Some(key));
        get.consistent_read(true).send().await.unwrap().item
    }

    pub(crate) async fn delete(&self, table: &str, key: Item) {
        let delete = self.client.delete_item().table_name(self.table(table)).set_key(Some(key));
        delete.send().await.unwrap();
    }
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    HashMap::from(attributes.map(|(name, value)| (name.to_owned(), value)))
}

/// The key of an order's row.
pub(crate) fn row_key(id: &str, stage: &str) -> Item {
    item([("orderId", text(id)), ("stage", text(stage))])
}
