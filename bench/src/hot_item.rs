//! Many partitions whose orders all share one item: one SKU, one account.
//!
//! A limiter in front of the database enforces DynamoDB's limits for that item. Orders are
//! committed one by one and in groups, until the item is sold out. Then the books are checked.

use std::time::Instant;

use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::bench::{Bench, check_count};
use crate::error::{BenchError, Context, Result};
use crate::hot_item_books::{self, Books};
use crate::hot_item_plan::{HotItem, PARTITIONS, Plan, partitions, plans};
use crate::partition::{Deliveries, deliver_all};
use crate::process::Process;
use crate::record::Record;
use crate::report::{Report, Section, progress};
use crate::stage::Stage;
use crate::statistics::hundredths;
use faults::database_proxy::DatabaseProxy;
use faults::item_limit::limited_items::{ItemCounts, TRANSACTION_LATENCY};
use faults::item_limit::written_items::{ItemKey, TableKeys};
use terminal::grouped;

/// One measurement.
struct Run {
    hot: HotItem,
    plan: Plan,
    done: u64,
    redelivered: u64,
    wall_ms: u64,
    counts: ItemCounts,
    books: Books,
}

pub(crate) async fn run(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let mut runs = Vec::new();
    for hot in HotItem::ALL {
        for plan in plans(bench.options.quick) {
            progress(&format!("hot item: {}, {} orders {}", hot.name(), plan.orders, plan.mode));
            runs.push(measure(bench, hot, plan).await?);
        }
    }
    report.add("hotItem", &section(&runs), runs.iter().map(Run::json).collect())
}

async fn measure(bench: &mut Bench, hot: HotItem, plan: Plan) -> Result<Run> {
    let id_prefix = format!("{}-{}-{}", bench.run_id, hot.stage().binary(), plan.batch);
    let mut records = hot.orders(plan.orders, &id_prefix);
    if hot.stage() == Stage::PAYMENT {
        // The payment reads the row of the reservation.
        records = bench.carry(Stage::INVENTORY, &records).await?;
    }
    check_count(hot.name(), &records, usize::try_from(plan.orders).unwrap_or(usize::MAX))?;
    let partitions = partitions(records);
    let reserved = hot_item_books::load(bench, hot, plan.holding).await?;
    let keys = table_keys(bench);
    let key = hot_key(bench, hot, &keys)?;
    let limiter = DatabaseProxy::start(bench.servers.database.endpoint()).await;
    let limiter = limiter.context("cannot start the limiter")?;
    let items = limiter.limit_items(keys);
    let contender = bench.function(hot.stage())?.with_database(&limiter.url);
    let starts = partitions.iter().map(|_| Process::start(&contender, None));
    let mut processes = try_join_all(starts).await?;
    try_join_all(processes.iter_mut().map(Process::ready)).await?;
    let start = Instant::now();
    let deliveries = processes
        .iter_mut()
        .zip(&partitions)
        .map(|(process, records)| deliver_all(process, records, plan.batch, start + plan.limit));
    let deliveries: Vec<Deliveries> = try_join_all(deliveries).await?;
    let counts = items.counts(&key);
    try_join_all(processes.into_iter().map(Process::stop)).await?;
    let ended = deliveries.iter().filter_map(|it| it.ended).max().unwrap_or(start);
    let redelivered = deliveries.iter().map(|it| it.redelivered).sum();
    let done: Vec<String> = deliveries.into_iter().flat_map(|it| it.done).collect();
    let orders: Vec<&Record> = partitions.iter().flatten().collect();
    let books = hot_item_books::read(bench, hot, (plan.holding, reserved), &orders, &done).await?;
    let check = |cause| BenchError::Invalid(format!("{}, {}: {cause}", hot.name(), plan.mode));
    books.check().map_err(check)?;
    let wall_ms = ended.duration_since(start).as_millis();
    Ok(Run {
        hot,
        plan,
        done: u64::try_from(done.len()).unwrap_or(u64::MAX),
        redelivered,
        wall_ms: u64::try_from(wall_ms).unwrap_or(u64::MAX).max(1),
        counts,
        books,
    })
}

/// The key attributes of the template's tables.
fn table_keys(bench: &Bench) -> TableKeys {
    let tables = bench.servers.template.tables.iter().map(|table| {
        let names = table.key.iter().map(|element| element.attribute.clone()).collect();
        (bench.servers.database.table_name(&table.logical_id), names)
    });
    TableKeys(tables.collect())
}

fn hot_key(bench: &Bench, hot: HotItem, keys: &TableKeys) -> Result<ItemKey> {
    let (name, value) = hot.key();
    let table = bench.servers.database.table_name(hot.table());
    keys.item(&table, &json!({ name: { "S": value } }))
        .ok_or_else(|| BenchError::Invalid(format!("the template lacks {}", hot.table())))
}

impl Run {
    fn per_second(&self, number: u64) -> u64 {
        number * 1_000 / self.wall_ms
    }

    fn row(&self) -> Vec<String> {
        // A transaction takes two units of the hot item.
        let per_transaction = self.done * 200 / self.counts.write_units.max(1);
        let figures = [
            self.per_second(self.counts.write_units),
            self.counts.conflicts,
            self.counts.throttled,
            self.books.refused,
            self.redelivered,
        ];
        let mode = format!("{} ({})", self.plan.mode, self.plan.batch);
        let done = format!("{} of {}", grouped(self.done), grouped(self.plan.orders));
        let per_second = grouped(self.per_second(self.done));
        let per_transaction = hundredths(per_transaction);
        let texts = [self.hot.name().to_owned(), mode, done, per_second, per_transaction];
        texts.into_iter().chain(figures.map(grouped)).collect()
    }

    fn json(&self) -> Value {
        json!({
            "item": self.hot.name(),
            "mode": self.plan.mode,
            "batch": self.plan.batch,
            "processes": PARTITIONS,
            "orders": self.plan.orders,
            "done": self.done,
            "wallMs": self.wall_ms,
            "ordersPerSecond": self.per_second(self.done),
            "hotItemWriteUnits": self.counts.write_units,
            "conflicts": self.counts.conflicts,
            "throttled": self.counts.throttled,
            "accepted": self.books.accepted,
            "refused": self.books.refused,
            "remainder": self.books.remainder,
            "redelivered": self.redelivered,
        })
    }
}

fn section(runs: &[Run]) -> Section {
    let header = [
        "stage",
        "orders (batch)",
        "done",
        "orders/s",
        "orders/transaction",
        "hot write units/s",
        "conflicts",
        "throttled",
        "refused",
        "redelivered",
    ];
    let title = "Hot item: orders of several partitions that all update one item";
    let mut section = Section::new(title, &header);
    section.rows = runs.iter().map(Run::row).collect();
    let latency_ms = TRANSACTION_LATENCY.as_millis();
    section.notes = vec![
        format!(
            "{PARTITIONS} partitions, one process each. Limits of an item: 1,000 write units/s, a \
             burst of 100, one transaction at a time of at least {latency_ms} ms (at most {}/s)",
            1_000 / latency_ms
        ),
        "write units, conflicts and throttled writes are those of the hot item; conflicts and \
         throttled writes take no units"
            .to_owned(),
        "checked: every unit sold once, no order rejected while one was left, each event equal to \
         that of its row"
            .to_owned(),
    ];
    section
}
