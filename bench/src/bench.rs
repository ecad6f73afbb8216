//! The shared state of all parts: options, servers, topic reader, new orders.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::try_join_all;
use serde::Deserialize;

use crate::cli::Options;
use crate::contender::Contender;
use crate::cpu_share::CpuShare;
use crate::error::{BenchError, Context, Result};
use crate::orders::{self, Kind};
use crate::process::Process;
use crate::record::{Record, invocation};
use crate::servers::Servers;
use crate::stage::{ORDER_API, ORDER_CREATED, ORDER_FAILED, Stage};
use crate::topics::TopicReader;

/// Concurrent processes of the order API.
const INTAKE_PROCESSES: usize = 4;
/// Batch size of a stage that is run for its events only.
const CARRY_BATCH: usize = 100;
/// The response to a batch without failures.
const NO_FAILURES: &[u8] = br#"{"batchItemFailures":[]}"#;

pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) servers: Servers,
    pub(crate) share: Option<CpuShare>,
    topics: TopicReader,
    /// Separates the orders of this run from those of others on the same database.
    pub(crate) run_id: String,
    next_order: u64,
}

#[derive(Deserialize)]
struct ApiResponse {
    #[serde(rename = "statusCode")]
    status_code: u16,
    body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    order_id: String,
}

impl Bench {
    pub(crate) async fn start(options: Options, share: Option<CpuShare>) -> Result<Self> {
        // Fail early if an executable is missing.
        for stage in Stage::all() {
            options.executable(stage.binary())?;
        }
        let servers = Servers::start(&options).await?;
        let published = Stage::all().filter_map(Stage::publishes_to);
        let topics: Vec<&str> =
            [ORDER_CREATED, ORDER_FAILED].into_iter().chain(published).collect();
        let topics = TopicReader::new(servers.broker.bootstrap_servers(), &topics)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run_id = format!("bench-{:x}", now.as_nanos());
        Ok(Self { options, servers, share, topics, run_id, next_order: 0 })
    }

    pub(crate) fn function(&self, stage: Stage) -> Result<Contender> {
        Contender::function(&self.options, &self.servers, stage)
    }

    pub(crate) fn peers(&self, stage: Stage) -> Result<Vec<Contender>> {
        Contender::peers(&self.options, &self.servers, stage)
    }

    /// Posts new orders to the order API; returns their `OrderCreated` records.
    pub(crate) async fn intake(&mut self, kinds: &[Kind]) -> Result<Vec<Record>> {
        let first = self.next_order;
        let requests = (first..).zip(kinds).map(|(number, kind)| {
            let key = format!("{}-{number}", self.run_id);
            orders::post_event(&orders::body(number, *kind), &key).to_string()
        });
        let requests: Vec<String> = requests.collect();
        self.next_order += u64::try_from(kinds.len()).unwrap_or(u64::MAX);
        let api = Contender {
            name: ORDER_API.to_owned(),
            program: self.options.executable(ORDER_API)?,
            arguments: Vec::new(),
            environment: self.servers.environment(ORDER_API)?,
        };
        let share = requests.len().div_ceil(INTAKE_PROCESSES).max(1);
        let posts = requests.chunks(share).map(|requests| post(&api, requests));
        let keys: HashSet<String> = try_join_all(posts).await?.into_iter().flatten().collect();
        self.read(ORDER_CREATED, &keys)
    }

    /// Usual orders.
    pub(crate) async fn usual(&mut self, count: usize) -> Result<Vec<Record>> {
        self.intake(&vec![Kind::Usual; count]).await
    }

    /// Runs a stage on records without measuring it; returns its events.
    pub(crate) async fn carry(&mut self, stage: Stage, records: &[Record]) -> Result<Vec<Record>> {
        let mut process = Process::start(&self.function(stage)?, None).await?;
        for batch in records.chunks(CARRY_BATCH) {
            deliver(&mut process, batch).await?;
        }
        process.stop().await?;
        self.published(stage, records)
    }

    /// The events that a stage published for these records; none for the last stage.
    pub(crate) fn published(&mut self, stage: Stage, records: &[Record]) -> Result<Vec<Record>> {
        let keys = records.iter().map(|record| record.key.clone()).collect();
        match stage.publishes_to() {
            Some(topic) => self.read(topic, &keys),
            None => Ok(Vec::new()),
        }
    }

    /// The events of these orders on a topic.
    pub(crate) fn read(&mut self, topic: &str, keys: &HashSet<String>) -> Result<Vec<Record>> {
        tokio::task::block_in_place(|| self.topics.read(topic, keys))
    }
}

async fn post(api: &Contender, requests: &[String]) -> Result<Vec<String>> {
    let mut process = Process::start(api, None).await?;
    let mut order_ids = Vec::with_capacity(requests.len());
    for request in requests {
        let response = process.invoke(request.clone().into()).await?;
        let response: ApiResponse = serde_json::from_slice(&response.body)
            .context("cannot read the order API's response")?;
        if !(200..300).contains(&response.status_code) {
            let cause = format!("POST /orders: status {}: {}", response.status_code, response.body);
            return Err(process.failed(&cause));
        }
        let accepted: Accepted =
            serde_json::from_str(&response.body).context("cannot read the accepted order's id")?;
        order_ids.push(accepted.order_id);
    }
    process.stop().await?;
    Ok(order_ids)
}

/// Delivers a batch to a process and checks that no record failed.
pub(crate) async fn deliver(process: &mut Process, batch: &[Record]) -> Result<()> {
    let response = process.invoke(invocation(batch)).await?;
    check(process, &response.body)
}

/// Checks that the response reports no failed record.
pub(crate) fn check(process: &Process, body: &[u8]) -> Result<()> {
    let compact: Vec<u8> =
        body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if compact == NO_FAILURES {
        return Ok(());
    }
    let body: String = String::from_utf8_lossy(body).chars().take(500).collect();
    Err(process.failed(&format!("records of the batch failed: {body}")))
}

/// Checks that the records' keys are those of `expected` orders.
pub(crate) fn check_count(what: &str, records: &[Record], expected: usize) -> Result<()> {
    let keys: HashSet<&String> = records.iter().map(|record| &record.key).collect();
    if keys.len() == expected {
        return Ok(());
    }
    Err(BenchError::Invalid(format!("{what}: {} orders instead of {expected}", keys.len())))
}
