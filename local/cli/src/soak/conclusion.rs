//! The conclusion of a soak: the books, `audit`, memory and descriptors, and the verdict.

use std::collections::BTreeSet;

use emulator::stack::Stack;
use terminal::{ExitError, grouped};

use super::phases::{Measured, Soak};
use super::traffic::Traffic;
use super::verdict::{self, Kept};
use super::{audit, report};
use crate::demo::ledger::Ledger;
use crate::demo::{books, redelivered, report as demo_report};
use crate::fixtures::holdings::Holdings;

/// The embedded broker's size of a partition.
const MAX_PARTITION_KB: u64 = 5 * 1_024;

/// The result of `audit`.
struct Audited {
    complaints: Vec<String>,
    line: String,
}

impl Soak<'_> {
    /// Prints the report. An error if anything is wrong.
    pub(super) async fn conclude(
        &self,
        traffic: &Traffic<'_>,
        measured: &Measured,
        before: &Holdings,
    ) -> Result<(), ExitError> {
        let after = Holdings::read(self.stack).await.map_err(ExitError::run)?;
        let audited = self.audited(traffic).await?;
        let ledger = traffic.run.in_flight.ledger();
        let kept =
            Kept { records_kb: records_kb(self.stack, &ledger), orders: ledger.counts.accepted };
        let Measured { program, samples, open } = measured;
        let wrong: Vec<_> = [
            open.clone(),
            books::imbalances(&ledger, before, &after),
            audited.complaints,
            verdict::growing_functions(&samples.functions),
            verdict::growing_program(*program, kept),
        ]
        .concat();
        let lines = [
            vec![String::new()],
            report::faults(self.plan, self.tally),
            vec![String::new(), demo_report::table(&ledger), String::new()],
            vec![report::orders(&ledger), report::latency(&ledger), self.records(&ledger)],
            vec![audited.line, String::new()],
            verdict::lines(&samples.functions, *program, kept),
            vec![String::new()],
            report::verdict(&wrong, &self.repeat, self.logs),
        ];
        lines.iter().flatten().for_each(|line| self.terminal.println(line));
        if wrong.is_empty() { Ok(()) } else { Err(ExitError::Unbalanced) }
    }

    /// Audits the stack. The events that this run has forged, and that their topics still have, must be
    /// found, and nothing else.
    async fn audited(&self, traffic: &Traffic<'_>) -> Result<Audited, ExitError> {
        let forged = traffic.run.in_flight.ledger().forged.positions.clone();
        let all: BTreeSet<_> = forged.keys().map(String::as_str).collect();
        let kept = audit::still_on_topics(&forged, self.stack).await?;
        let report = self.audit.check().await?;
        let found = report.found(&all);
        let mut complaints = report.complaints(&all);
        complaints.extend(kept.difference(&found).map(|order_id| {
            format!("audit: the forged event of {order_id} is on its topic, but is not found")
        }));
        let line = format!(
            "Audit      {} orders: {} findings beside the orders with a forged event, of which {} of \
             {} are found, and {} are still on their topics",
            grouped(report.orders),
            complaints.len(),
            found.len(),
            all.len(),
            kept.len(),
        );
        Ok(Audited { complaints, line })
    }

    fn records(&self, ledger: &Ledger) -> String {
        format!(
            "Records    {} on the topics, {} of them published again byte for byte; {} redelivered",
            grouped(ledger.counts.records),
            grouped(ledger.counts.repeated),
            grouped(redelivered(self.stack)),
        )
    }
}

/// The records that the embedded broker keeps, at most.
fn records_kb(stack: &Stack, ledger: &Ledger) -> u64 {
    let partitions: i32 = stack.template.topics.iter().map(|topic| topic.partitions).sum();
    let most = u64::try_from(partitions).unwrap_or_default().saturating_mul(MAX_PARTITION_KB);
    most.min(ledger.counts.bytes / 1_024)
}
