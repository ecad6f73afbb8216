//! The folder of `up --keep`: orders, stock and accounts survive a restart.
//!
//! The embedded database keeps its rows in a file. The embedded broker keeps nothing: a run that
//! ends writes the records that a function has still to handle to a file, and the next run publishes
//! them again. Then the recovery publishes the last event of every open order again, so that an
//! order also goes on after a crash, or if its record is a dead letter. A record that is published
//! twice has no second effect.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emulator::broker::Broker;
use emulator::invoke::InvokeResponse;
use emulator::stack::Stack;
use emulator::template::Mapping;
use jiff::{Timestamp, ToSpan};
use kafka::{Brokers, ProduceError, Producer};
use local_runs::RunError;
use rdkafka::error::KafkaError;
use serde::Deserialize;
use serde_json::json;
use terminal::{error_chain, printable};

use super::kept_records::{KeptRecord, unhandled};

const DATABASE: &str = "database.sqlite";
const RECORDS: &str = "records.jsonl";
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The rows of an order expire after this time.
const ROW_LIFETIME_DAYS: i64 = 30;

/// A folder that this run has locked.
#[derive(Debug)]
pub(super) struct Keep {
    folder: PathBuf,
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(transparent)]
    Unusable(#[from] RunError),
    #[error("cannot read {path} (make it readable, or move it away)", path = path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {line} of {path} is not a record (delete the line)", path = path.display())]
    Malformed {
        path: PathBuf,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot publish the kept records again")]
    Publish(#[source] ProduceError),
    #[error("cannot connect to the broker")]
    Broker(#[from] KafkaError),
    #[error("the recovery of the open orders failed: {0}")]
    Recovery(String),
}

/// The response of one recovery.
#[derive(Deserialize)]
struct Recovered {
    published: u64,
}

impl Keep {
    pub(super) fn open(folder: &Path) -> Result<Self, KeepError> {
        Ok(Self { folder: folder.to_owned(), _lock: local_runs::lock(folder)? })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn database_file(&self) -> PathBuf {
        self.folder.join(DATABASE)
    }

    fn records_file(&self) -> PathBuf {
        self.folder.join(RECORDS)
    }

    fn unreadable(&self, source: io::Error) -> KeepError {
        KeepError::Read { path: self.records_file(), source }
    }

    fn unwritable(&self, cause: io::Error) -> RunError {
        RunError::Unwritable { path: self.records_file(), cause }
    }

    /// The content of the file of records; empty if there is none.
    fn lines(&self) -> Result<Vec<u8>, KeepError> {
        match fs::read(self.records_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|error| self.unreadable(error)),
        }
    }

    /// Publishes the records of the last run again. Returns their number.
    pub(super) async fn restore(&self, stack: &Stack) -> Result<usize, KeepError> {
        let records = self.read()?;
        let servers = Brokers::plaintext(stack.broker.bootstrap_servers());
        let producer = Producer::new(&servers, DELIVERY_TIMEOUT)?;
        for batch in records.chunks(1_000) {
            let sent: Result<Vec<_>, _> =
                batch.iter().map(|record| record.send(&producer)).collect();
            let sent =
                sent.map_err(KeepError::Publish)?.into_iter().map(kafka::Delivery::delivered);
            futures::future::try_join_all(sent).await.map_err(KeepError::Publish)?;
        }
        local_runs::remove_if_present(&self.records_file())
            .map_err(|error| self.unwritable(error))?;
        Ok(records.len())
    }

    fn read(&self) -> Result<Vec<KeptRecord>, KeepError> {
        let record = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|source| KeepError::Malformed {
                path: self.records_file(),
                line: index + 1,
                source,
            })
        };
        let text = String::from_utf8(self.lines()?)
            .map_err(|error| self.unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        text.lines().enumerate().map(record).collect()
    }

    /// Writes the records that the functions have still to handle. An external broker keeps them
    /// itself.
    pub(super) async fn save(
        &self,
        broker: &Broker,
        mappings: Vec<Mapping>,
    ) -> Result<usize, KeepError> {
        if broker.mock().is_none() {
            return Ok(0);
        }
        let records = unhandled(broker, mappings).await?;
        let lines: Result<Vec<_>, _> = records.iter().map(serde_json::to_string).collect();
        let lines = lines.map_err(io::Error::from).map_err(|error| self.unwritable(error))?;
        // A run that ended before it had published the kept records leaves them in the file.
        let mut text = self.lines()?;
        text.extend(lines.iter().flat_map(|line| line.bytes().chain([b'\n'])));
        let new = self.folder.join("records.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(new, self.records_file()))
            .map_err(|error| self.unwritable(error))?;
        Ok(records.len())
    }
}

/// Publishes the last event of every order that has not ended. Returns their number.
pub(super) async fn recover(stack: &Stack) -> Result<u64, KeepError> {
    let functions = &stack.template.functions;
    let Some(function) = functions.iter().find(|function| !function.schedules.is_empty()) else {
        return Ok(0);
    };
    let failed =
        |error: &dyn std::error::Error| KeepError::Recovery(printable(&error_chain(error)));
    let now = Timestamp::now();
    let since =
        now.checked_sub((ROW_LIFETIME_DAYS * 24).hours()).map_err(|error| failed(&error))?;
    let event = json!({
        "detail-type": "Scheduled Event",
        "time": format!("{now:.3}"),
        "detail": { "acceptedSince": format!("{since:.3}") },
    });
    let answer = stack.invoke_client().invoke(&function.name, event.to_string().into()).await;
    match answer.map_err(|error| failed(&error))? {
        InvokeResponse::Returned(body) => {
            let recovered: Vec<Recovered> =
                serde_json::from_slice(&body).map_err(|error| failed(&error))?;
            Ok(recovered.iter().map(|it| it.published).sum())
        }
        InvokeResponse::Failed(error) => Err(KeepError::Recovery(printable(&error.error_message))),
    }
}
