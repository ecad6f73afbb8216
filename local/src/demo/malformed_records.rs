//! The malformed records of a run, and the reports of malformed records.

use std::collections::HashMap;

use contracts::failure::failure_code;
use contracts::{Envelope, EventType, FailureCode, Object, RecordPosition, Topic};

/// The malformed records that the demo sent, and every report that was seen.
#[derive(Debug, Default)]
pub(crate) struct MalformedRecords {
    /// The records that the demo sent, by their key.
    pub(crate) sent: HashMap<String, MalformedRecord>,
    /// The reports, by the position of the malformed record.
    pub(crate) reports: HashMap<RecordPosition, Report>,
}

/// A malformed record that the demo sent.
#[derive(Debug)]
pub(crate) struct MalformedRecord {
    /// The code that its report must have.
    pub(crate) code: FailureCode,
    /// The position at which it was seen.
    pub(crate) position: Option<RecordPosition>,
}

/// The report of a malformed record.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) event_type: EventType,
    pub(crate) code: FailureCode,
    digest: u64,
}

/// A report compared with those before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    New,
    Duplicate,
    Fault(String),
}

impl MalformedRecords {
    /// Whether the demo sent the record with this key; if so, it counts as seen.
    pub(crate) fn is_expected(&mut self, key: &str, position: RecordPosition) -> bool {
        let sent = self.sent.get_mut(key);
        sent.map(|record| record.position = Some(position)).is_some()
    }

    /// A report was seen.
    pub(crate) fn report(&mut self, event: &Envelope<'_>, digest: u64) -> Reported {
        let Some(code) = failure_code(&event.payload) else {
            return Reported::Fault("the report of a malformed record has no code".to_owned());
        };
        let Some(source) = source(&event.payload) else {
            let fault = format!("a report of {code} does not name the malformed record's position");
            return Reported::Fault(fault);
        };
        match self.reports.get(&source) {
            None => {
                let report = Report { event_type: event.event_type, code, digest };
                self.reports.insert(source, report);
                Reported::New
            }
            Some(before) if before.digest == digest => Reported::Duplicate,
            Some(_) => Reported::Fault(format!(
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
