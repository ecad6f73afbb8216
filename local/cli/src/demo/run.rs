//! The run. It is complete when every order has ended and the workflow is idle.

use std::path::Path;
use std::time::{Duration, Instant};

use emulator::stack::Stack;
use emulator::tap::Tap;
use terminal::ExitError;
use uuid::Uuid;

use super::backlog::{Backlog, Ends};
use super::drive::Driver;
use super::in_flight::InFlight;
use super::outages::Outages;
use super::plan::Plan;
use crate::fixtures::producer::Producer;

/// A run without any activity for this time has stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Limit for all attempts of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct Run<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) in_flight: &'a InFlight,
    pub(crate) producer: &'a Producer,
    pub(crate) backlog: &'a Backlog,
    /// `None` to leave everything up.
    pub(crate) outages: Option<&'a Outages>,
    /// The folder of the functions' logs.
    pub(crate) logs: &'a Path,
}

impl Run<'_> {
    /// Sends all orders and waits until the workflow is idle. Returns the time from the first
    /// request to the last end.
    pub(crate) async fn drive(&self, plan: &Plan, before: Ends) -> Result<Duration, ExitError> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(ExitError::run)?;
        let api = self.stack.api_url().ok_or_else(|| {
            ExitError::Start("the template has no function with an HttpApi event (add one)".into())
        })?;
        let driver = Driver {
            client,
            url: format!("{api}/orders"),
            timeout: REQUEST_TIMEOUT,
            run_id: Uuid::new_v4().simple().to_string(),
            in_flight: self.in_flight,
            producer: self.producer,
            logs: self.logs,
        };
        let started = Instant::now();
        tokio::select! {
            sent = driver.run(plan) => sent.map_err(ExitError::run)?,
            () = self.cause_outages() => {}
        }
        while self.in_flight.ledger().counts.unfinished() > 0 {
            tokio::time::sleep(POLL_INTERVAL / 10).await;
        }
        let took = started.elapsed();
        self.wait_until_all_is_observed(before).await?;
        Ok(took)
    }

    async fn cause_outages(&self) {
        match self.outages {
            Some(outages) => outages.cause(self.stack).await,
            None => std::future::pending().await,
        }
    }

    /// Waits for records after the last end: redeliveries, malformed reports, released stock.
    pub(crate) async fn wait_until_all_is_observed(&self, mut ends: Ends) -> Result<(), ExitError> {
        let start = ends.clone();
        loop {
            let records = self.in_flight.ledger().counts.records;
            wait_until_idle(self.backlog, &mut ends, self.logs).await?;
            self.wait_until_observed(&start, &ends).await?;
            if self.in_flight.ledger().counts.records == records {
                return Ok(());
            }
        }
    }

    /// Waits until the ledger has all records between these ends.
    async fn wait_until_observed(&self, start: &Ends, ends: &Ends) -> Result<(), ExitError> {
        let observed = async {
            while !self.in_flight.ledger().has_seen(start, ends) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::time::timeout(STALL_TIMEOUT, observed).await.map_err(|_| {
            ExitError::Run(format!(
                "reading the topics: the last records are missing after {} s (check that the \
                 broker is up)",
                STALL_TIMEOUT.as_secs(),
            ))
        })
    }

    /// Updates the ledger while it is polled. Returns only on an error.
    pub(crate) async fn watch(&self, tap: &mut Tap) -> ExitError {
        while let Some(record) = tap.next().await {
            for duplicate in self.in_flight.observe(&record) {
                if let Err(error) = self.producer.publish(&duplicate).await {
                    return ExitError::run(error);
                }
            }
        }
        ExitError::Run(
            "reading the topics: the connection is lost (check that the broker is up)".to_owned(),
        )
    }

    /// Returns an error after [`STALL_TIMEOUT`] without activity.
    pub(crate) async fn detect_stall(&self) -> ExitError {
        // Without duplicates: a record that fails for ever may be published at each retry.
        let activity = || {
            let counts = self.in_flight.ledger().counts;
            (counts.records - counts.repeated, counts.answered, counts.ended)
        };
        let (mut last, mut since) = (activity(), Instant::now());
        while since.elapsed() < STALL_TIMEOUT {
            tokio::time::sleep(POLL_INTERVAL).await;
            let now = activity();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        ExitError::Run(format!(
            "no activity for {} s: {} (see the functions' logs in {})",
            STALL_TIMEOUT.as_secs(),
            self.in_flight.open_orders(),
            self.logs.display(),
        ))
    }
}

/// Waits until the functions have handled all records. Stores the ends of the topics.
pub(crate) async fn wait_until_idle(
    backlog: &Backlog,
    ends: &mut Ends,
    logs: &Path,
) -> Result<(), ExitError> {
    let (mut last, mut since) = (i64::MAX, Instant::now());
    while since.elapsed() < STALL_TIMEOUT {
        match backlog.read().await {
            Ok((0, found)) => {
                *ends = found;
                return Ok(());
            }
            Ok((left, _)) if left != last => (last, since) = (left, Instant::now()),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot read the backlog; retrying"),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Err(ExitError::Run(format!(
        "no progress for {} s: the topics have unhandled records (see the functions' logs in \
         {})",
        STALL_TIMEOUT.as_secs(),
        logs.display(),
    )))
}
