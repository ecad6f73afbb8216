//! What was put on `order.created` that is no order, and what was said about it?

use std::collections::HashMap;

use contracts::{Envelope, EventType, FailureCode, JsonObject, Source};

/// The records that are no orders, and the reports of such records.
#[derive(Debug, Default)]
pub(crate) struct BadRecords {
    /// What was put there on purpose, by its key.
    pub(crate) junk: HashMap<String, Junk>,
    /// What was reported, by where the bad record lies.
    pub(crate) reports: HashMap<Source, Report>,
}

/// A record that is no order, put on purpose.
#[derive(Debug)]
pub(crate) struct Junk {
    /// As what it has to be reported.
    pub(crate) code: FailureCode,
    /// Where it was seen.
    pub(crate) lies_at: Option<Source>,
}

/// What was said about a record that is no event.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) event_type: EventType,
    pub(crate) code: FailureCode,
    digest: u64,
}

/// What a report is to those before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    First,
    Again,
    Fault(String),
}

impl BadRecords {
    /// Whether the record with this key was put there on purpose; if so, it has been seen.
    pub(crate) fn is_junk(&mut self, key: &str, lies_at: &Source) -> bool {
        let junk = self.junk.get_mut(key);
        junk.map(|junk| junk.lies_at = Some(lies_at.clone())).is_some()
    }

    /// A report was seen.
    pub(crate) fn report(&mut self, event: &Envelope, code: FailureCode, digest: u64) -> Reported {
        let Some(source) = source(&event.payload) else {
            let fault = format!("a report of {code} does not say where the bad record lies");
            return Reported::Fault(fault);
        };
        match self.reports.get(&source) {
            None => {
                let report = Report { event_type: event.event_type, code, digest };
                self.reports.insert(source, report);
                Reported::First
            }
            Some(before) if before.digest == digest => Reported::Again,
            Some(_) => Reported::Fault(format!(
                "the bad record at offset {} of {}, partition {}, was reported twice",
                source.offset, source.topic, source.partition
            )),
        }
    }
}

fn source(payload: &JsonObject) -> Option<Source> {
    let source = payload.get("source")?;
    Some(Source {
        topic: source.get("topic")?.as_str()?.to_owned(),
        partition: source.get("partition")?.as_i64()?.try_into().ok()?,
        offset: source.get("offset")?.as_i64()?,
    })
}
