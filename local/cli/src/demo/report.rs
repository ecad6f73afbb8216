//! The report of a run: a table, latency and throughput, and the verdict on the books.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, Table};
use contracts::Money;
use hdrhistogram::{CreationError, Histogram};
use terminal::printable;

use super::ledger::Ledger;
use super::{books, books::Taken};
use terminal::{TABLE, grouped};

const MAX_PRINTED: usize = 20;
/// In microseconds: an hour. Longer latencies count as this.
const MAX_LATENCY_US: u64 = 3_600_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// From the first request to the last end.
    pub(crate) took: Duration,
    /// Records that mappings redelivered.
    pub(crate) redelivered: u64,
    pub(crate) outages: Option<String>,
}

/// Orders by outcome and reason. Cancellations can differ between two runs with the same seed.
pub(crate) fn table(ledger: &Ledger) -> String {
    let mut rows: BTreeMap<(u8, String, String, String), u64> = BTreeMap::new();
    for order in ledger.orders.values().filter(|order| order.accepted.is_some()) {
        let row = match &order.end {
            None => (2, "unfinished", String::new(), String::new()),
            Some(end) => {
                let event = end.event_type.name().to_owned();
                let reason = end.code.map(|code| code.name().to_owned()).unwrap_or_default();
                match end.event_type.is_failure() {
                    false => (0, "completed", event, reason),
                    true => (1, "failed", event, reason),
                }
            }
        };
        *rows.entry((row.0, row.1.to_owned(), row.2, row.3)).or_default() += 1;
    }
    for (status, count) in &ledger.rejected {
        let response = format!("response {status}");
        rows.insert((3, "rejected".to_owned(), response, "not an order".to_owned()), *count);
    }
    for report in ledger.malformed_records.reports.values() {
        let event = report.event_type.name().to_owned();
        let row = (4, "malformed record".to_owned(), event, report.code.name().to_owned());
        *rows.entry(row).or_default() += 1;
    }
    let mut table = Table::new();
    table.load_style(TABLE).set_header(["Outcome", "Event", "Reason", "Orders"]);
    for ((_, outcome, event, reason), count) in rows {
        table.add_row([outcome, event, reason, grouped(count)]);
    }
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Latency, throughput and redeliveries, one line each.
pub(crate) fn figures(ledger: &Ledger, figures: Figures) -> Vec<String> {
    let latency = latencies(ledger).map_or_else(
        |error| error.to_string(),
        |latencies| {
            let at = |quantile| milliseconds(latencies.value_at_quantile(quantile));
            format!("p50 {}, p99 {}", at(0.5), at(0.99))
        },
    );
    let lines = [
        format!("End-to-end latency   {latency}"),
        format!(
            "Throughput           {} orders per second, {} orders in {}",
            per_second(ledger.counts.ended, figures.took),
            grouped(ledger.counts.ended),
            seconds(figures.took),
        ),
        format!(
            "Redeliveries         {} events published again, byte for byte; \
             {} records redelivered",
            grouped(ledger.counts.repeated),
            grouped(figures.redelivered),
        ),
    ];
    lines.into_iter().chain(figures.outages).collect()
}

/// The balance, or the imbalances.
pub(crate) fn verdict(imbalances: &[String], ledger: &Ledger) -> Vec<String> {
    if imbalances.is_empty() {
        return vec![balance(&books::taken(ledger), ledger)];
    }
    let count = grouped(u64::try_from(imbalances.len()).unwrap_or(u64::MAX));
    let mut lines = vec![format!("The books do not balance, {count} entries:")];
    lines.extend(
        imbalances.iter().take(MAX_PRINTED).map(|entry| format!("  - {}", printable(entry))),
    );
    if imbalances.len() > MAX_PRINTED {
        lines.push(format!("  … and {} more", imbalances.len() - MAX_PRINTED));
    }
    lines
}

/// The next step after the run.
pub(crate) fn next_step(is_balanced: bool, logs: &Path) -> String {
    if is_balanced {
        return "Next: `cargo run -- up` keeps it running, with a page at http://127.0.0.1:3000."
            .to_owned();
    }
    format!(
        "Next: search the functions' logs for an order of these entries, `grep ORDER-ID {}/*`; the \
         rules are in local/cli/src/demo/books.rs. `--calm` repeats the run without outages.",
        logs.display()
    )
}

fn balance(taken: &Taken, ledger: &Ledger) -> String {
    let pieces: i128 = taken.stock.values().sum();
    let money =
        taken.money.values().try_fold(Money::default(), |sum, amount| sum.checked_add(*amount));
    format!(
        "The books balance: {} orders with one end each, {} pieces held and {} paid.",
        grouped(ledger.counts.accepted),
        grouped(u64::try_from(pieces).unwrap_or_default()),
        amount(money.unwrap_or_default()),
    )
}

/// From the HTTP response to the observed end, in microseconds.
pub(crate) fn latencies(ledger: &Ledger) -> Result<Histogram<u64>, CreationError> {
    let mut latencies = Histogram::new_with_max(MAX_LATENCY_US, 3)?;
    for order in ledger.orders.values() {
        let accepted_at = order.accepted.as_ref().and_then(|accepted| accepted.at);
        if let (Some(accepted_at), Some(end)) = (accepted_at, &order.end) {
            let latency = end.at.saturating_duration_since(accepted_at);
            latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
    }
    Ok(latencies)
}

pub(crate) fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{} ms", microseconds / 1_000, microseconds % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", grouped(microseconds / 1_000)),
        _ => seconds(Duration::from_micros(microseconds)),
    }
}

fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

fn per_second(count: u64, took: Duration) -> String {
    let milliseconds = took.as_millis().max(1);
    let per_second = u128::from(count) * 1_000 / milliseconds;
    grouped(u64::try_from(per_second).unwrap_or(u64::MAX))
}

/// Formats an amount: `73,711.80`.
fn amount(money: Money) -> String {
    let digits = money.to_string();
    let (units, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
    let units = units.parse().map_or_else(|_| units.to_owned(), grouped);
    format!("{units}.{decimals:0<2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_decimals() {
        let texts = ["0", "12.5", "73711.80", "1000"].map(|text| Money::from_text(text).unwrap());
        assert_eq!(texts.map(amount), ["0.00", "12.50", "73,711.80", "1,000.00"]);
    }

    #[test]
    fn a_run_that_does_not_balance_names_the_logs() {
        let logs = Path::new("target/local/7/logs");
        assert!(next_step(true, logs).contains("`cargo run -- up`"));
        let next = next_step(false, logs);
        assert!(next.contains("grep ORDER-ID target/local/7/logs/*"), "{next}");
        assert!(!next.contains("up`"), "{next}");
    }

    #[test]
    fn durations_have_a_suitable_unit() {
        let texts: Vec<_> = [1_250, 87_300, 9_999_000, 12_340_000].map(milliseconds).into();
        assert_eq!(texts, ["1.2 ms", "87 ms", "9,999 ms", "12.3 s"]);
        assert_eq!(per_second(3_000, Duration::from_millis(1_500)), "2,000");
        assert_eq!(per_second(0, Duration::ZERO), "0");
    }
}
