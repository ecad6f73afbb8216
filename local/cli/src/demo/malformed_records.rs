//! The malformed records of a run, and their reports.

use std::collections::{BTreeSet, HashMap};

use contracts::failure::failure_code;
use contracts::{Envelope, EventType, FailureCode, Object, RecordPosition, Topic};

#[derive(Debug, Default)]
pub(crate) struct MalformedRecords {
    /// Sent records by key.
    pub(crate) sent: HashMap<String, MalformedRecord>,
    /// Observed reports by the position of the malformed record.
    pub(crate) reports: HashMap<RecordPosition, Report>,
}

#[derive(Debug)]
pub(crate) struct MalformedRecord {
    pub(crate) topic: Topic,
    /// The expected code of its report.
    pub(crate) code: FailureCode,
    /// Empty until it is observed; several if a broker without an idempotent producer's sequence
    /// numbers has it twice.
    pub(crate) positions: BTreeSet<RecordPosition>,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) event_type: EventType,
    pub(crate) code: FailureCode,
    digest: u64,
}

/// Compares a report with the previous ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    New,
    Duplicate,
    Error(String),
}

impl MalformedRecords {
    /// Stores the position of a record that this run sent; `false` for other records.
    pub(crate) fn is_expected(&mut self, key: &str, position: RecordPosition) -> bool {
        let sent = self.sent.get_mut(key).filter(|sent| sent.topic == position.topic);
        sent.map(|record| record.positions.insert(position)).is_some()
    }

    pub(crate) fn report(&mut self, event: &Envelope<'_>, digest: u64) -> Reported {
        let Some(code) = failure_code(&event.payload) else {
            return Reported::Error("a report of a malformed record has no code".to_owned());
        };
        let Some(source) = source(&event.payload) else {
            let error = format!("a report with {code} has no position of the malformed record");
            return Reported::Error(error);
        };
        match self.reports.get(&source) {
            None => {
                let report = Report { event_type: event.event_type, code, digest };
                self.reports.insert(source, report);
                Reported::New
            }
            Some(before) if before.digest == digest => Reported::Duplicate,
            Some(_) => Reported::Error(format!(
                "the malformed record at offset {} of {}, partition {}, was reported twice",
                source.offset, source.topic, source.partition
            )),
        }
    }
}

fn source(failure_payload: &Object<'_>) -> Option<RecordPosition> {
    let source = Object::parse(failure_payload.get("source")?).ok()?;
    Some(RecordPosition {
        topic: Topic::from_name(&source.string("topic")?)?,
        partition: source.get("partition")?.parse().ok()?,
        offset: source.get("offset")?.parse().ok()?,
    })
}
