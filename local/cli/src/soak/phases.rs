//! The phases of a soak: warm-up, load with faults, quiet, books.

use std::path::Path;
use std::time::Duration;

use emulator::stack::Stack;
use emulator::tap::Tap;
use futures::FutureExt;
use terminal::{ExitError, Terminal, grouped};
use tokio::time::Instant;
use uuid::Uuid;

use super::audit::Audit;
use super::faulty_database::FaultyDatabase;
use super::injector::{Injector, Parts};
use super::plan::Plan;
use super::records::Records;
use super::resources::{self, Change, Samples};
use super::tally::Tally;
use super::traffic::Traffic;
use super::{load, quiet, verdict};
use crate::demo::backlog::{Backlog, Ends};
use crate::demo::drive::Driver;
use crate::demo::in_flight::InFlight;
use crate::demo::ledger::Ledger;
use crate::demo::run::{self, Run};
use crate::demo::schemas::Schemas;
use crate::fixtures::catalogue::Catalogue;
use crate::fixtures::holdings::Holdings;
use crate::fixtures::producer::Producer;

/// Requests that waited for a fault to end leave their connections for this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit for all attempts of one request. On a busy machine an attempt may wait for a process until
/// its own limit.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(5);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

pub(super) struct Soak<'a> {
    pub(super) plan: &'a Plan,
    pub(super) catalogue: &'a Catalogue,
    pub(super) stack: &'a Stack,
    pub(super) database: &'a FaultyDatabase,
    pub(super) tally: &'a Tally,
    pub(super) audit: Audit,
    pub(super) logs: &'a Path,
    /// The command that injects the same plan.
    pub(super) repeat: String,
    pub(super) terminal: &'a Terminal,
}

/// The measurements of the phases.
pub(super) struct Measured {
    pub(super) program: Change,
    pub(super) samples: Samples,
    /// The orders that have not ended, with their time-lines.
    pub(super) open: Vec<String>,
}

impl Soak<'_> {
    pub(super) async fn run(&self) -> Result<(), ExitError> {
        let backlog = Backlog::of(&self.stack.template, &self.stack.broker).await;
        let backlog = backlog.map_err(ExitError::start)?;
        let mut topics_ended = Ends::new();
        run::wait_until_idle(&backlog, &mut topics_ended, self.logs).await?;
        let before = self.supply().await?;
        self.audit.save().await?;

        let in_flight = InFlight::new(Ledger::new(Schemas::compile().map_err(ExitError::start)?));
        let servers = self.stack.broker.bootstrap_servers();
        let producer = Producer::new(servers).map_err(ExitError::start)?;
        let records = Records::new(self.plan.seed);
        let topics: Vec<_> =
            self.stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
        let mut tap = Tap::start(&self.stack.broker, &topics).await.map_err(ExitError::start)?;
        let api = self.stack.api_url().unwrap_or_default();
        let client = reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE_TIMEOUT);
        let client = client.build().map_err(ExitError::run)?;
        let traffic = Traffic {
            records: &records,
            run: Run {
                stack: self.stack,
                in_flight: &in_flight,
                producer: &producer,
                backlog: &backlog,
                outages: None,
                logs: self.logs,
            },
            driver: Driver {
                client,
                url: format!("{api}/orders"),
                timeout: REQUEST_TIMEOUT,
                run_id: Uuid::new_v4().simple().to_string(),
                in_flight: &in_flight,
                producer: &producer,
                logs: self.logs,
            },
        };
        let measured = tokio::select! {
            measured = Box::pin(self.phases(&traffic, topics_ended)) => measured?,
            error = traffic.watch(&mut tap) => return Err(error),
            () = self.show_progress(&in_flight) => return Ok(()),
        };
        drop(tap);
        self.conclude(&traffic, &measured, &before).await
    }

    /// Loads stock and accounts, with enough for the orders that must succeed.
    async fn supply(&self) -> Result<Holdings, ExitError> {
        let mut holdings = self.catalogue.holdings();
        self.plan.orders.supply(self.catalogue, &mut holdings);
        holdings.load(self.stack).await.map_err(ExitError::start)?;
        Holdings::read(self.stack).await.map_err(ExitError::start)
    }

    async fn phases(&self, traffic: &Traffic<'_>, before: Ends) -> Result<Measured, ExitError> {
        let plan = self.plan;
        let warm_up = 0..plan.warm_up();
        load::run(&traffic.driver, plan, warm_up.clone(), Instant::now(), self.tally)
            .await
            .map_err(ExitError::run)?;
        let is_warm = quiet::until_ended(traffic.run.in_flight, Duration::ZERO).await;
        if !is_warm {
            return Err(ExitError::Run("orders did not end before the first fault".to_owned()));
        }
        let start = resources::at_rest(self.stack, None).await;
        self.terminal.println(&format!(
            "Load: {} orders a second for {} s",
            plan.size.rate,
            plan.size.load.as_secs()
        ));
        let samples = self.load(traffic, warm_up.end).await?;
        quiet::end_faults(self.stack, self.database);
        self.terminal.println("Quiet");
        let mut open = Vec::new();
        if quiet::until_ended(traffic.run.in_flight, quiet::MIN_QUIET).await {
            traffic.run.wait_until_all_is_observed(before).await?;
        } else {
            open = quiet::open_orders(&traffic.driver).await;
        }
        let expected = start.descriptors + verdict::PROGRAM_SLACK_DESCRIPTORS;
        let end = resources::at_rest(self.stack, Some(expected)).await;
        Ok(Measured { program: Change { start, end }, samples, open })
    }

    /// Posts the orders while the faults are injected, and measures the functions.
    async fn load(&self, traffic: &Traffic<'_>, first: u64) -> Result<Samples, ExitError> {
        let (plan, started) = (self.plan, Instant::now());
        let injector = Injector::new(Parts {
            stack: self.stack,
            database: self.database,
            in_flight: traffic.run.in_flight,
            producer: traffic.run.producer,
            records: traffic.records,
            tally: self.tally,
        });
        let mut samples = Samples::default();
        let numbers = first..plan.orders.count();
        // An order that cannot be sent ends the run at once.
        tokio::try_join!(
            load::run(&traffic.driver, plan, numbers, started, self.tally),
            injector.run(&plan.faults, started).map(Ok),
            samples.take(self.stack, started, plan.size.load).map(Ok),
        )
        .map_err(ExitError::run)?;
        Ok(samples)
    }

    async fn show_progress(&self, in_flight: &InFlight) {
        let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
        interval.tick().await;
        loop {
            interval.tick().await;
            let counts = in_flight.ledger().counts;
            self.terminal.println(&format!(
                "  {} of {} orders posted, {} ended",
                grouped(counts.answered),
                grouped(self.plan.orders.count()),
                grouped(counts.ended)
            ));
        }
    }
}
