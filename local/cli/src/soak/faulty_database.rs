//! The proxy between the functions and their database, which injects the faults of a plan.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use emulator::database::Database;
use emulator::template::Template;
use faults::database_proxy::{Chance, DatabaseProxy, Exchange, Fault, FaultPlan, Rule};
use faults::item_limit::written_items::TableKeys;

use super::database_fault::{DatabaseFault, Share};
use super::fault::Kind;
use super::tally::Tally;

/// The most that a fault lasts longer than planned.
const MAX_LONGER: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Tables whose items many orders write. Rows of orders are left out: the proxy would keep a count of
/// each.
const SHARED_ITEMS: [&str; 2] = ["StockTable", "AccountsTable"];

pub(super) struct FaultyDatabase {
    proxy: DatabaseProxy,
    active: Mutex<Vec<Share>>,
    tally: Tally,
}

impl FaultyDatabase {
    /// Starts the proxy. It enforces DynamoDB's limits of an item for stock and accounts, and counts
    /// the requests that meet a fault.
    pub(super) async fn start(
        database: &Database,
        template: &Template,
        tally: &Tally,
    ) -> Result<Self, faults::Error> {
        let proxy = DatabaseProxy::start(database.endpoint()).await?;
        let tables = template.tables.iter();
        let shared = tables.filter(|table| SHARED_ITEMS.contains(&table.logical_id.as_str()));
        let keys = shared.map(|table| {
            let key = table.key.iter().map(|element| element.attribute.clone());
            (database.table_name(&table.logical_id), key.collect())
        });
        proxy.limit_items(TableKeys(keys.collect()));
        let counted = tally.clone();
        proxy.observe(move |exchange| {
            if let Some(kind) = kind_of(exchange) {
                counted.add(kind, 1);
            }
        });
        Ok(Self { proxy, active: Mutex::default(), tally: tally.clone() })
    }

    /// The URL for the functions.
    pub(super) fn url(&self) -> &str {
        &self.proxy.url
    }

    /// Injects a fault for this time, and on until a request has met it: there may be none while the
    /// broker is away.
    pub(super) async fn inject(&self, kind: DatabaseFault, share: Share, lasts: Duration) {
        let kind = Kind::Database(kind);
        let (before, started) = (self.tally.count(kind), Instant::now());
        self.change(|active| active.push(share));
        tokio::time::sleep(lasts).await;
        while self.tally.count(kind) == before && started.elapsed() < lasts + MAX_LONGER {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.change(|active| active.retain(|other| *other != share));
    }

    /// Ends all faults but the limits of items, which DynamoDB always has.
    pub(super) fn end(&self) {
        self.change(Vec::clear);
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Share>)) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut active);
        let seed = active.iter().fold(0, |seed, share| seed ^ share.seed);
        let rules = active.iter().map(|share| Rule {
            operation: None,
            table: None,
            chance: Chance::PerMillion(share.per_thousand.saturating_mul(1_000)),
            fault: share.fault,
        });
        let plan = rules.fold(FaultPlan::new(seed), FaultPlan::with);
        self.proxy.follow((!active.is_empty()).then_some(plan));
    }
}

/// The kind of the fault that a request met.
fn kind_of(exchange: &Exchange) -> Option<Kind> {
    match exchange.fault? {
        Fault::ItemLimit => Some(Kind::ItemLimit),
        fault => DatabaseFault::of(fault).map(Kind::Database),
    }
}
