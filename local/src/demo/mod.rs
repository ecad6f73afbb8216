//! Sends orders through the whole workflow, waits until each has ended, and checks the books.

mod backlog;
mod books;
pub(crate) mod catalogue;
mod drive;
pub(crate) mod holdings;
mod ledger;
mod orders;
mod plan;
mod producer;
mod progress;
mod report;
mod schemas;
mod shared;
mod spoilt;

use std::time::{Duration, Instant};

use contracts::Topic;
use local::event_source_mapping::EventSourceMapping;
use local::stack::Stack;
use local::tap::Tap;
use local::template::Template;
use uuid::Uuid;

use crate::cli::{self, DemoOptions};
use crate::fault::Fault;
use crate::terminal::Terminal;
use crate::up;

use backlog::Backlog;
use catalogue::Catalogue;
use drive::Driver;
use holdings::Holdings;
use ledger::Ledger;
use plan::Plan;
use producer::Producer;
use progress::Progress;
use report::{Figures, grouped};
use schemas::Schemas;
use shared::Shared;

/// How long nothing at all may happen before the run counts as stuck.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How often it is looked whether anything has happened.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demo.
pub(crate) async fn run(options: &DemoOptions, terminal: &Terminal) -> Result<(), Fault> {
    let stack_options = options.stack();
    // What a person can get wrong comes first, before anything takes time.
    Template::read(&stack_options.template).map_err(Fault::start)?;
    let workspace = cli::workspace(&stack_options.template);
    let catalogue = Catalogue::read(&workspace).map_err(Fault::start)?;
    let plan = match &options.file {
        Some(file) => Plan::read(file).map_err(Fault::start)?,
        None => Plan::Made {
            catalogue: catalogue.clone(),
            seed: options.seed,
            count: options.orders,
        },
    };
    let stack = up::start(stack_options, terminal).await?;
    for line in plan.description() {
        terminal.say(&line);
    }
    let result = tokio::select! {
        result = Box::pin(demonstrate(&plan, &catalogue, &stack, terminal)) => result,
        interrupted = up::interrupted() => interrupted.and(Err(Fault::Interrupted)),
    };
    stack.stop().await;
    result
}

async fn demonstrate(
    plan: &Plan,
    catalogue: &Catalogue,
    stack: &Stack,
    terminal: &Terminal,
) -> Result<(), Fault> {
    let backlog = Backlog::of(&stack.template, &stack.broker).await.map_err(Fault::start)?;
    // On a broker of one's own there may be work left, which would change the stock meanwhile.
    let mut topics_ended = backlog::Ends::new();
    until_quiet(&backlog, &mut topics_ended).await?;
    let mut holdings = catalogue.holdings();
    plan.supply(catalogue, &mut holdings);
    holdings.load(stack).await.map_err(Fault::start)?;
    let before = Holdings::read(stack).await.map_err(Fault::start)?;

    let shared = Shared::new(Ledger::new(Schemas::compile().map_err(Fault::start)?));
    let producer = Producer::new(stack.broker.bootstrap_servers()).map_err(Fault::start)?;
    let topics: Vec<&str> = stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut tap = Tap::start(&stack.broker, &topics).await.map_err(Fault::start)?;
    let mut progress = Progress::new(terminal, plan.count());
    let run = Run { stack, shared: &shared, producer: &producer, backlog: &backlog };
    let ended = tokio::select! {
        ended = run.drive(plan, topics_ended) => ended,
        fault = run.watch(&mut tap) => Err(fault),
        fault = run.until_standstill() => Err(fault),
        () = progress.keep_showing(&shared) => Ok(Duration::ZERO),
    };
    progress.finish();
    let took = ended?;
    let after = Holdings::read(stack).await.map_err(Fault::run)?;
    conclude(&shared, &before, &after, Figures { took, retried: retried(stack) }, terminal)
}

fn conclude(
    shared: &Shared,
    before: &Holdings,
    after: &Holdings,
    figures: Figures,
    terminal: &Terminal,
) -> Result<(), Fault> {
    let ledger = shared.ledger();
    terminal.say("");
    terminal.say(&report::table(&ledger));
    terminal.say("");
    for line in report::figures(&ledger, figures) {
        terminal.say(&line);
    }
    terminal.say("");
    let imbalances = books::imbalances(&ledger, before, after);
    for line in report::verdict(&imbalances, &ledger, before) {
        terminal.say(&line);
    }
    if imbalances.is_empty() { Ok(()) } else { Err(Fault::Unbalanced) }
}

fn retried(stack: &Stack) -> u64 {
    let counts = stack.mappings.values().map(EventSourceMapping::counts);
    counts.map(|counts| counts.snapshot().redelivered).sum()
}

/// What a run in progress consists of.
struct Run<'a> {
    stack: &'a Stack,
    shared: &'a Shared,
    producer: &'a Producer,
    backlog: &'a Backlog,
}

impl Run<'_> {
    /// Sends everything and waits until nothing can come of it any more. Returns how long it took
    /// from the first request to the last end.
    async fn drive(&self, plan: &Plan, before: backlog::Ends) -> Result<Duration, Fault> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(Fault::run)?;
        let api = self.stack.api_url().ok_or_else(|| {
            Fault::Start("no function of the template answers HTTP: give one an HttpApi event".into())
        })?;
        let driver = Driver {
            client,
            url: format!("{api}/orders"),
            run_id: Uuid::new_v4().simple().to_string(),
            shared: self.shared,
            producer: self.producer,
        };
        let started = Instant::now();
        driver.run(plan).await.map_err(Fault::run)?;
        while self.shared.ledger().unfinished() > 0 {
            tokio::time::sleep(LOOK / 10).await;
        }
        let took = started.elapsed();
        self.until_all_is_seen(before).await?;
        Ok(took)
    }

    /// Redeliveries, reports of bad records and stock that is given back come after the last end.
    async fn until_all_is_seen(&self, mut ends: backlog::Ends) -> Result<(), Fault> {
        let start = ends.clone();
        loop {
            let records = self.shared.ledger().records;
            until_quiet(self.backlog, &mut ends).await?;
            loop {
                let ledger = self.shared.ledger();
                let mut ends = ends.iter();
                let is_seen = ends.all(|(place, end)| {
                    start.get(place) == Some(end) || ledger.seen_up_to.get(place) >= Some(end)
                });
                drop(ledger);
                if is_seen {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
            if self.shared.ledger().records == records {
                return Ok(());
            }
        }
    }

    /// Keeps the ledger, for as long as it is polled.
    async fn watch(&self, tap: &mut Tap) -> Fault {
        while let Some(record) = tap.next().await {
            for put in self.shared.see(&record) {
                if let Err(error) = self.producer.put(&put).await {
                    return Fault::run(error);
                }
            }
        }
        Fault::Run("the topics can no longer be read: see whether the broker is up".to_owned())
    }

    /// Waits until nothing has happened for too long, and says what is missing.
    async fn until_standstill(&self) -> Fault {
        let activity = || {
            let ledger = self.shared.ledger();
            (ledger.records, ledger.answered)
        };
        let (mut last, mut since) = (activity(), Instant::now());
        while since.elapsed() < STANDSTILL {
            tokio::time::sleep(LOOK).await;
            let now = activity();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let ledger = self.shared.ledger();
        Fault::Run(format!(
            "nothing has happened for {} s and {} of {} accepted orders have not ended: see the \
             functions' logs in target/local-logs",
            STANDSTILL.as_secs(),
            grouped(ledger.unfinished()),
            grouped(ledger.accepted),
        ))
    }
}

/// Waits until the functions have worked through everything, and learns where the topics end.
async fn until_quiet(backlog: &Backlog, ends: &mut backlog::Ends) -> Result<(), Fault> {
    loop {
        match backlog.look().await {
            Ok((0, found)) => {
                *ends = found;
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the broker is asked again"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The topics on which an order ends.
pub(crate) const ENDS: [Topic; 2] = [Topic::OrderCompleted, Topic::OrderFailed];
