//! What is there to do about each record of each dead letter?

use std::collections::HashMap;

use contracts::Topic;

use super::dead_letter::{self, GivenUp, Record, Unreadable};
use super::position::Position;
use super::receipt::Receipt;

/// A message of the topic, as it was read.
pub(crate) struct Letter {
    pub(crate) position: Position,
    /// When it was written, in milliseconds since the epoch.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
}

/// One record of one dead letter.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where the dead letter lies.
    pub(crate) letter: Position,
    /// The dead letter's own key.
    pub(crate) letter_key: Option<Vec<u8>>,
    /// When the dead letter was written, in milliseconds since the epoch.
    pub(crate) given_up_ms: Option<i64>,
    pub(crate) given_up: GivenUp,
    pub(crate) record: Result<Record, Unreadable>,
    /// When a receipt says that it was put back, in milliseconds since the epoch.
    pub(crate) put_back_ms: Option<i64>,
}

/// What there is to do about an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State<'a> {
    /// It can be put back.
    Waits(&'a Record),
    /// It was put back, at these milliseconds since the epoch.
    WasPutBack(i64),
    /// Its topic is none of the workflow's, so nothing is written there.
    Foreign,
    /// It cannot be read, for this reason.
    Unreadable(&'a str),
}

impl Entry {
    /// Where the record came from or, where that cannot be read, where its dead letter lies.
    pub(crate) fn position(&self) -> &Position {
        match &self.record {
            Ok(record) => &record.position,
            Err(unreadable) => unreadable.position.as_ref().unwrap_or(&self.letter),
        }
    }

    pub(crate) fn state(&self) -> State<'_> {
        match &self.record {
            Err(unreadable) => State::Unreadable(&unreadable.reason),
            Ok(record) if Topic::from_name(&record.position.topic).is_none() => State::Foreign,
            Ok(record) => self.put_back_ms.map_or(State::Waits(record), State::WasPutBack),
        }
    }
}

/// Takes the letters apart, and the receipts into account.
pub(crate) fn entries(letters: Vec<Letter>) -> Vec<Entry> {
    let mut put_back_ms = HashMap::new();
    let mut entries = Vec::new();
    for letter in letters {
        if let Some(receipt) = Receipt::read(&letter.value) {
            let at_ms = letter.timestamp_ms.unwrap_or_default();
            put_back_ms.insert((receipt.dead_letter, receipt.record), at_ms);
            continue;
        }
        let read = dead_letter::read(&letter.value);
        entries.extend(read.records.into_iter().map(|record| Entry {
            letter: letter.position.clone(),
            letter_key: letter.key.clone(),
            given_up_ms: letter.timestamp_ms,
            given_up: read.given_up.clone(),
            record,
            put_back_ms: None,
        }));
    }
    for entry in &mut entries {
        let place = (entry.letter.clone(), entry.position().clone());
        entry.put_back_ms = put_back_ms.get(&place).copied();
    }
    entries.sort_by(|one, other| {
        one.position().cmp(other.position()).then_with(|| one.letter.cmp(&other.letter))
    });
    entries
}
