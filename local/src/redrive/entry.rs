//! What is there to do about each record of each dead letter?
//!
//! Letters and receipts are claims of whoever may write to the topic. A letter counts for the record
//! that lies where it says, and a receipt counts if a later copy of that record lies where it says: a
//! forged letter can only have a record delivered again, and a forged receipt hides nothing.

use std::collections::{BTreeSet, HashMap};

use contracts::Topic;

use super::dead_letter::{self, Claim, GivenUp};
use super::position::Position;
use super::receipt::Receipt;
use super::record::Record;

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
    /// What the letter says of the record, or why that cannot be read.
    claim: Result<Claim, String>,
    /// What lies there.
    record: Option<Record>,
    /// When a receipt says that it was put back, in milliseconds since the epoch. Where the record is
    /// still there, so is its copy.
    put_back_ms: Option<i64>,
}

/// What there is to do about an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State<'a> {
    /// It can be put back.
    Waits(&'a Record),
    /// It was put back, at these milliseconds since the epoch.
    WasPutBack(i64),
    /// No record lies where the letter says. A receipt may say when it was put back before it went.
    Gone(Option<i64>),
    /// Its topic is none of the workflow's, so nothing is written there.
    Foreign,
    /// It cannot be read, for this reason.
    Unreadable(&'a str),
}

impl Entry {
    /// Where the record lies or, where that cannot be read, where its dead letter does.
    pub(crate) fn position(&self) -> &Position {
        self.claim.as_ref().map_or(&self.letter, |claim| &claim.position)
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    pub(crate) fn state(&self) -> State<'_> {
        match (&self.claim, &self.record) {
            (Err(reason), _) => State::Unreadable(reason),
            (Ok(claim), _) if !is_of_workflow(&claim.position) => State::Foreign,
            (Ok(_), None) => State::Gone(self.put_back_ms),
            (Ok(_), Some(record)) => {
                self.put_back_ms.map_or(State::Waits(record), State::WasPutBack)
            }
        }
    }

    /// Whether the letter says that something else lies there.
    pub(crate) fn differs(&self) -> bool {
        match (&self.claim, &self.record) {
            (Ok(claim), Some(record)) => claim.value != record.value,
            _ => false,
        }
    }
}

fn is_of_workflow(position: &Position) -> bool {
    Topic::from_name(&position.topic).is_some()
}

/// What the topic says, before it is compared with the records.
pub(crate) struct Unchecked {
    entries: Vec<Entry>,
    /// With when each was written, in milliseconds since the epoch.
    receipts: Vec<(Receipt, i64)>,
}

impl Unchecked {
    /// Takes the letters apart.
    pub(crate) fn of(letters: Vec<Letter>) -> Self {
        let (mut entries, mut receipts) = (Vec::new(), Vec::new());
        for letter in letters {
            if let Some(receipt) = Receipt::read(&letter.value) {
                receipts.push((receipt, letter.timestamp_ms.unwrap_or_default()));
                continue;
            }
            let read = dead_letter::read(&letter.value);
            entries.extend(read.claims.into_iter().map(|claim| Entry {
                letter: letter.position.clone(),
                letter_key: letter.key.clone(),
                given_up_ms: letter.timestamp_ms,
                given_up: read.given_up.clone(),
                claim,
                record: None,
                put_back_ms: None,
            }));
        }
        Self { entries, receipts }
    }

    /// Where records of the workflow are said to lie.
    pub(crate) fn positions(&self) -> BTreeSet<Position> {
        let claims = self.entries.iter().filter_map(|entry| entry.claim.as_ref().ok());
        let copies = self.receipts.iter().map(|(receipt, _)| &receipt.put_back_as);
        let positions = claims.map(|claim| &claim.position).chain(copies);
        positions.filter(|position| is_of_workflow(position)).cloned().collect()
    }

    /// Compares everything with the records that lie at [`Self::positions`].
    pub(crate) fn check(mut self, records: &HashMap<Position, Record>) -> Vec<Entry> {
        let mut receipts: HashMap<_, Vec<_>> = HashMap::new();
        for (receipt, at_ms) in &self.receipts {
            let place = (&receipt.dead_letter, &receipt.record);
            receipts.entry(place).or_default().push((&receipt.put_back_as, *at_ms));
        }
        for entry in &mut self.entries {
            let position = entry.position().clone();
            let of_entry = receipts.get(&(&entry.letter, &position)).into_iter().flatten();
            let record = records.get(&position);
            let mut counting = of_entry.filter(|(put_back_as, _)| {
                let copy = records.get(*put_back_as);
                // Of a record that is gone there is nothing left to hide.
                record.is_none_or(|record| copy.is_some_and(|it| it.is_later_copy_of(record)))
            });
            entry.put_back_ms = counting.next().map(|(_, at_ms)| *at_ms);
            entry.record = record.cloned();
        }
        self.entries.sort_by(|one, other| {
            one.position().cmp(other.position()).then_with(|| one.letter.cmp(&other.letter))
        });
        self.entries
    }
}
