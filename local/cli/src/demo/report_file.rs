//! The books of a run as JSON, for programs that compare with them.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use contracts::Money;
use local_runs::correction;
use serde_json::{Value, json};

use super::books;
use super::ledger::Ledger;
use crate::fixtures::holdings::Holdings;

/// The file for the books, open from the start of the run.
#[derive(Debug)]
pub(super) struct ReportFile {
    path: PathBuf,
    file: File,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the report {path}: {cause} ({})", correction(cause), path = path.display())]
pub(super) struct ReportError {
    path: PathBuf,
    cause: io::Error,
}

impl ReportFile {
    /// Creates the file, so that a path that cannot be written is an error before the run.
    pub(super) fn create(path: &Path) -> Result<Self, ReportError> {
        let path = path.to_owned();
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(cause) => Err(ReportError { path, cause }),
        }
    }

    /// Writes the books. Amounts are texts, so that they stay exact.
    pub(super) fn write(&self, ledger: &Ledger, after: &Holdings) -> Result<(), ReportError> {
        let text = format!("{:#}\n", report(ledger, after));
        let written = (&self.file).write_all(text.as_bytes());
        written.map_err(|cause| ReportError { path: self.path.clone(), cause })
    }
}

fn report(ledger: &Ledger, after: &Holdings) -> Value {
    let mut ends = Counts::default();
    for order in ledger.orders.values().filter(|order| order.accepted.is_some()) {
        match &order.end {
            None => ends.add("unfinished", None),
            Some(end) => ends.add(end.event_type.name(), end.code.map(|code| code.name())),
        }
    }
    let mut malformed = Counts::default();
    for report in ledger.malformed_records.reports.values() {
        malformed.add(report.event_type.name(), Some(report.code.name()));
    }
    let taken = books::taken(ledger);
    let paid = taken.money.values().try_fold(Money::default(), |sum, it| sum.checked_add(*it));
    let stock = after.stock.iter().map(|(sku, stock)| {
        let sold = taken.stock.get(sku).copied().unwrap_or_default();
        let number = |number: i128| number.to_string();
        let stock = json!({
            "available": number(stock.available), "reserved": number(stock.reserved),
            "sold": number(sold),
        });
        (sku.clone(), stock)
    });
    json!({
        "accepted": ledger.counts.accepted,
        "cancelled": ledger.counts.cancelled,
        "repeated": ledger.counts.repeated,
        "records": ledger.counts.records,
        "ends": ends.0,
        "malformedRecords": malformed.0,
        "stock": stock.collect::<serde_json::Map<_, _>>(),
        "paid": paid.map(|paid| paid.to_string()),
    })
}

/// Counts by event, and by code where there is one: `OrderPaymentFailed PAYMENT_DECLINED`.
#[derive(Default)]
struct Counts(std::collections::BTreeMap<String, u64>);

impl Counts {
    fn add(&mut self, event: &str, code: Option<&str>) {
        let name = code.map_or_else(|| event.to_owned(), |code| format!("{event} {code}"));
        *self.0.entry(name).or_default() += 1;
    }
}
