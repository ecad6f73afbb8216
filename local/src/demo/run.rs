//! The run: over when every order has ended and nothing can come of any of them any more.

use std::time::{Duration, Instant};

use local::foreign_text::printable;
use local::stack::Stack;
use local::tap::Tap;
use uuid::Uuid;

use super::backlog::{Backlog, Ends};
use super::drive::Driver;
use super::in_flight::InFlight;
use super::plan::Plan;
use super::producer::Producer;
use crate::fault::Fault;
use crate::readable::grouped;

/// How long nothing at all may happen before the run counts as stuck.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether anything has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What a run in progress consists of.
pub(super) struct Run<'a> {
    pub(super) stack: &'a Stack,
    pub(super) in_flight: &'a InFlight,
    pub(super) producer: &'a Producer,
    pub(super) backlog: &'a Backlog,
}

impl Run<'_> {
    /// Sends everything and waits until nothing can come of it any more. Returns how long it took
    /// from the first request to the last end.
    pub(super) async fn drive(&self, plan: &Plan, before: Ends) -> Result<Duration, Fault> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(Fault::run)?;
        let api = self.stack.api_url().ok_or_else(|| {
            Fault::Start(
                "no function of the template answers HTTP: give one an HttpApi event".into(),
            )
        })?;
        let driver = Driver {
            client,
            url: format!("{api}/orders"),
            run_id: Uuid::new_v4().simple().to_string(),
            in_flight: self.in_flight,
            producer: self.producer,
        };
        let started = Instant::now();
        driver.run(plan).await.map_err(Fault::run)?;
        while self.in_flight.ledger().counts.unfinished() > 0 {
            tokio::time::sleep(POLL_INTERVAL / 10).await;
        }
        let took = started.elapsed();
        self.until_all_is_seen(before).await?;
        Ok(took)
    }

    /// Redeliveries, reports of malformed records and the release of stock come after the last end.
    async fn until_all_is_seen(&self, mut ends: Ends) -> Result<(), Fault> {
        let start = ends.clone();
        loop {
            let records = self.in_flight.ledger().counts.records;
            wait_until_idle(self.backlog, &mut ends).await?;
            while !self.in_flight.ledger().has_seen(&start, &ends) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            if self.in_flight.ledger().counts.records == records {
                return Ok(());
            }
        }
    }

    /// Keeps the ledger, for as long as it is polled.
    pub(super) async fn watch(&self, tap: &mut Tap) -> Fault {
        while let Some(record) = tap.next().await {
            for put in self.in_flight.see(&record) {
                if let Err(error) = self.producer.put(&put).await {
                    return Fault::run(error);
                }
            }
        }
        Fault::Run("the topics can no longer be read: see whether the broker is up".to_owned())
    }

    /// Waits until nothing has happened for too long, and says what is missing.
    pub(super) async fn detect_stall(&self) -> Fault {
        let activity = || {
            let counts = self.in_flight.ledger().counts;
            (counts.records, counts.answered)
        };
        let (mut last, mut since) = (activity(), Instant::now());
        while since.elapsed() < STALL_TIMEOUT {
            tokio::time::sleep(POLL_INTERVAL).await;
            let now = activity();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let ledger = self.in_flight.ledger();
        let example = ledger.unfinished().next();
        Fault::Run(format!(
            "nothing has happened for {} s and {} of {} accepted orders have not ended{}: look for \
             them in the functions' logs in target/local-logs",
            STALL_TIMEOUT.as_secs(),
            grouped(ledger.counts.unfinished()),
            grouped(ledger.counts.accepted),
            example
                .map(|order_id| format!(", {} for one", printable(order_id)))
                .unwrap_or_default(),
        ))
    }
}

/// Waits until the functions have worked through everything, and learns where the topics end.
pub(super) async fn wait_until_idle(backlog: &Backlog, ends: &mut Ends) -> Result<(), Fault> {
    let (mut last, mut since) = (i64::MAX, Instant::now());
    while since.elapsed() < STALL_TIMEOUT {
        match backlog.look().await {
            Ok((0, found)) => {
                *ends = found;
                return Ok(());
            }
            Ok((left, _)) if left != last => (last, since) = (left, Instant::now()),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the broker is asked again"),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Err(Fault::Run(format!(
        "the functions have left records on their topics for {} s: see their logs in \
         target/local-logs",
        STALL_TIMEOUT.as_secs(),
    )))
}
