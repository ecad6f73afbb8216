//! The report of a soak.

use std::collections::BTreeMap;

use contracts::{EventType, FailureCode};
use terminal::{grouped, printable};

use super::fault::Kind;
use super::plan::Plan;
use super::tally::Tally;
use crate::demo::ledger::Ledger;
use crate::demo::report;

const MAX_PRINTED: usize = 40;

/// The faults by kind: planned, and injected.
pub(super) fn faults(plan: &Plan, tally: &Tally) -> Vec<String> {
    let mut planned: BTreeMap<Kind, u64> = BTreeMap::new();
    for fault in plan.all() {
        *planned.entry(fault.fault.kind()).or_default() += 1;
    }
    let by_itself = format!(
        "  {:<34} {:>9} {:>9}",
        Kind::ItemLimit.name(),
        "-",
        grouped(tally.count(Kind::ItemLimit))
    );
    let title = format!("{:<36} {:>9} {:>9}", "Faults", "planned", "injected");
    let kinds = planned.iter().map(|(kind, planned)| {
        let (planned, injected) = (grouped(*planned), grouped(tally.count(*kind)));
        format!("  {:<34} {planned:>9} {injected:>9}", kind.name())
    });
    std::iter::once(title).chain(kinds).chain([by_itself]).collect()
}

/// The orders in one line.
pub(super) fn orders(ledger: &Ledger) -> String {
    let (mut completed, mut cancelled, mut failed) = (0_u64, 0_u64, BTreeMap::new());
    let accepted = ledger.orders.values().filter(|order| order.accepted.is_some());
    for end in accepted.filter_map(|order| order.end.as_ref()) {
        match (end.event_type, end.code) {
            (EventType::OrderCompleted, _) => completed += 1,
            (_, Some(FailureCode::OrderCancelled)) => cancelled += 1,
            (_, code) => *failed.entry(code.map_or("", |code| code.name())).or_default() += 1,
        }
    }
    let by_code =
        failed.iter().map(|(code, count): (_, &u64)| format!("{} {code}", grouped(*count)));
    format!(
        "Orders     {} accepted: {} completed, {} cancelled, {} failed ({}), {} open",
        grouped(ledger.counts.accepted),
        grouped(completed),
        grouped(cancelled),
        grouped(failed.values().sum()),
        by_code.collect::<Vec<_>>().join(", "),
        grouped(ledger.counts.unfinished()),
    )
}

/// Latency from the response to the end.
pub(super) fn latency(ledger: &Ledger) -> String {
    report::latencies(ledger).map_or_else(
        |error| error.to_string(),
        |latencies| {
            let at = |quantile| report::milliseconds(latencies.value_at_quantile(quantile));
            let max = report::milliseconds(latencies.max());
            format!("Latency    p50 {}, p99 {}, max {max}", at(0.5), at(0.99))
        },
    )
}

/// The last lines: what is wrong, if anything, and how to repeat the run.
pub(super) fn verdict(wrong: &[String], repeat: &str, logs: &std::path::Path) -> Vec<String> {
    if wrong.is_empty() {
        return vec!["Passed: the books balance, and nothing grows.".to_owned()];
    }
    let count = grouped(u64::try_from(wrong.len()).unwrap_or(u64::MAX));
    let mut lines = vec![format!("Failed, {count} entries:")];
    let printed = wrong.iter().take(MAX_PRINTED);
    lines.extend(printed.map(|entry| format!("  - {}", printable(entry))));
    if let Some(more @ 1..) = wrong.len().checked_sub(MAX_PRINTED) {
        lines.push(format!("  … and {more} more"));
    }
    let logs = logs.display();
    lines.push(format!("The functions' logs are in {logs}. {}", repeated(repeat)));
    lines
}

/// The command that repeats a failed run.
pub(super) fn repeated(command: &str) -> String {
    format!("The same plan again: {command}")
}
