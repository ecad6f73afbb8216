//! The report of an audit: a table for people, JSON for programs.

use std::collections::BTreeMap;

use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};
use terminal::{TABLE, grouped, printable};

use crate::{
    check::OpenOrder,
    finding::{Finding, Kind, merged},
};

/// Dollars for a million read units, on demand in us-east-1: docs/cost.md.
const MICRODOLLARS_PER_MILLION_UNITS: u64 = 125_000;

/// The most lines of one kind in a table.
const MAX_LINES: usize = 50;

const NO_OPENING: &str = "note: balances are not compared, and stock only for too little \
                          `reserved` (give --opening FILE, which --save writes)";

const DAMAGED_ROWS: &str = "stock and balances may differ because of the damaged rows (correct the \
                            rows first, and audit again)";

/// The result of an audit.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) open: Vec<OpenOrder>,
    /// When the opening was saved; without one, balances are not compared.
    pub(crate) opening: Option<String>,
    /// The checks that were not possible, or are uncertain.
    pub(crate) notes: Vec<String>,
    pub(crate) orders: u64,
    pub(crate) records: Option<u64>,
    pub(crate) payments: Option<usize>,
    pub(crate) items: u64,
    pub(crate) units: u64,
    pub(crate) seconds: u64,
}

impl Report {
    /// Merges the findings, and notes whether the sums may follow from damaged rows.
    pub(crate) fn merge_findings(&mut self) {
        self.findings = merged(std::mem::take(&mut self.findings));
        let has = |is_of: fn(Kind) -> bool| self.findings.iter().any(|it| is_of(it.kind));
        if has(Kind::is_of_rows) && has(Kind::is_of_sums) {
            self.notes.push(DAMAGED_ROWS.to_owned());
        }
    }
}

pub(crate) fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let mut by_kind: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        by_kind.entry(finding.kind).or_default().push(finding);
    }
    for (kind, findings) in &by_kind {
        lines.push(format!("{} ({}): {}", kind.name(), findings.len(), kind.action()));
        let rows = findings
            .iter()
            .take(MAX_LINES)
            .map(|it| [&it.subject, &it.expected, &it.found].map(|text| printable(text)).into());
        lines.push(table(&["Order or item", "Expected", "Found"], rows));
        if let Some(more @ 1..) = findings.len().checked_sub(MAX_LINES) {
            lines.push(format!("… and {more} more: --json lists them"));
        }
        lines.push(String::new());
    }
    if !report.open.is_empty() {
        let count = grouped(u64::try_from(report.open.len()).unwrap_or_default());
        lines.push(format!("warning: {count} orders are open for too long, the oldest first"));
        let rows = report.open.iter().take(MAX_LINES).map(|open| {
            vec![printable(&open.id), format!("{:#}", whole(open.age)), open.stage.to_string()]
        });
        lines.push(table(&["Order", "Age", "Last event of"], rows));
        lines.push(String::new());
    }
    if report.opening.is_none() {
        lines.push(NO_OPENING.to_owned());
    }
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    lines.push(verdict(report));
    lines.push(read(report));
    lines
}

fn whole(age: jiff::SignedDuration) -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(age.as_secs())
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(TABLE).set_header(header.iter().copied());
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows);
    table.to_string()
}

fn verdict(report: &Report) -> String {
    let (orders, findings) = (grouped(report.orders), report.findings.len());
    match findings {
        0 => format!("The books balance: {orders} orders."),
        1 => format!("The books do not balance: 1 finding about {orders} orders."),
        more => format!("The books do not balance: {more} findings about {orders} orders."),
    }
}

fn read(report: &Report) -> String {
    let records = report.records.map(|it| format!("; {} records", grouped(it)));
    let payments = report.payments.map(|it| format!("; {it} payments"));
    format!(
        "Read in {} s: {} items, {} read units ({} dollars on demand){}{}.",
        report.seconds,
        grouped(report.items),
        grouped(report.units),
        dollars(report.units),
        records.unwrap_or_else(|| "; no topics".to_owned()),
        payments.unwrap_or_default(),
    )
}

/// The price of read units, with four decimals, rounded up.
fn dollars(units: u64) -> String {
    let micros = units.saturating_mul(MICRODOLLARS_PER_MILLION_UNITS).div_ceil(1_000_000);
    let hundreds = micros.div_ceil(100);
    format!("{}.{:04}", hundreds / 10_000, hundreds % 10_000)
}

/// One object.
pub(crate) fn json(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "kind": finding.kind.name(),
            "subject": finding.subject,
            "expected": finding.expected,
            "found": finding.found,
            "action": finding.kind.action(),
        })
    });
    let open = report.open.iter().map(|open| {
        json!({
            "orderId": open.id,
            "ageSeconds": open.age.as_secs(),
            "stage": open.stage.name(),
        })
    });
    json!({
        "balances": report.findings.is_empty(),
        "findings": findings.collect::<Vec<_>>(),
        "open": open.collect::<Vec<_>>(),
        "opening": report.opening,
        "notes": report.notes,
        "orders": report.orders,
        "read": {
            "items": report.items,
            "units": report.units,
            "dollars": dollars(report.units),
            "records": report.records,
            "payments": report.payments,
            "seconds": report.seconds,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_an_opening_says_what_is_not_compared() {
        let without = Report::default();
        assert_eq!(lines(&without)[..2], [NO_OPENING, "The books balance: 0 orders."]);
        assert_eq!(json(&without)["opening"], Value::Null);
        let saved_at = "2026-11-27T12:00:00.000Z".to_owned();
        let with = Report { opening: Some(saved_at.clone()), ..Report::default() };
        assert_eq!(lines(&with)[0], "The books balance: 0 orders.");
        assert_eq!(json(&with)["opening"], saved_at);
    }

    #[test]
    fn sums_beside_damaged_rows_have_a_note() {
        let report = |kinds: &[Kind]| {
            let findings = kinds.iter().map(|kind| Finding::new(*kind, kind.name(), "a", "b"));
            let mut report = Report { findings: findings.collect(), ..Report::default() };
            report.merge_findings();
            report
        };
        for sum in [Kind::ReservedStock, Kind::TotalStock, Kind::Balance] {
            let report = report(&[sum, Kind::MissingRow]);
            assert_eq!(json(&report)["notes"], json!([DAMAGED_ROWS]), "{sum:?}");
            let note = format!("note: {DAMAGED_ROWS}");
            assert_eq!(lines(&report).iter().filter(|line| **line == note).count(), 1, "{sum:?}");
        }
        for kinds in [&[Kind::Balance, Kind::WrongEnd], &[Kind::MissingRow, Kind::StockItem]] {
            assert_eq!(json(&report(kinds))["notes"], json!([]), "{kinds:?}");
        }
    }

    #[test]
    fn read_units_have_the_price_of_the_cost_page() {
        assert_eq!(dollars(0), "0.0000");
        assert_eq!(dollars(1), "0.0001");
        assert_eq!(dollars(425_000), "0.0532");
        assert_eq!(dollars(80_000_000), "10.0000");
    }
}
