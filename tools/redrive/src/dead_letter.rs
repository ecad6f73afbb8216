//! Dead letters, verified against the records on their topics.
//!
//! Any writer of the topic can forge dead letters and receipts. Of a dead letter only the position
//! is used, and a receipt counts only if a later copy of the record is at the position in it. So a
//! forged dead letter can only have a record delivered again, and a forged receipt hides nothing.

use std::collections::{BTreeSet, HashMap};

use contracts::{Topic, TopicNames};

use crate::message::{self, Cause, Claim, DeadLetterMessage};
use crate::origins::Origins;
use crate::position::Position;
use crate::receipt::Receipt;
use crate::record::Record;

/// A record that was given up. A message on the dead-letter topic may hold several.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetter {
    /// The position of its message.
    pub(crate) message: Position,
    pub(crate) message_key: Option<Vec<u8>>,
    /// The timestamp of its message, in milliseconds since the epoch.
    pub(crate) given_up_ms: Option<i64>,
    pub(crate) cause: Cause,
    /// The unverified content, or why it cannot be read.
    claim: Result<Claim, String>,
    /// The workflow's topic that the claim names.
    topic: Option<Topic>,
    /// The record at the claimed position.
    record: Option<Record>,
    /// The time of its receipt, in milliseconds since the epoch; verified unless `record` is gone.
    redriven_ms: Option<i64>,
    /// How many redrives have led to this record, each after its predecessor was given up.
    returns: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum State<'a> {
    /// Can be redriven.
    Pending(&'a Record),
    /// Redriven at this time, in milliseconds since the epoch.
    Redriven(i64),
    /// No record is at the position; with the time of its receipt, if there is one.
    Gone(Option<i64>),
    /// Its topic is not part of the workflow, so nothing is written there.
    Foreign,
    /// The reason.
    Unreadable(&'a str),
}

impl DeadLetter {
    /// The position of the record, or of the message if the record's cannot be read.
    pub(crate) fn position(&self) -> &Position {
        self.claim.as_ref().map_or(&self.message, |claim| &claim.position)
    }

    /// `None` for a foreign topic.
    pub(crate) const fn topic(&self) -> Option<Topic> {
        self.topic
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    pub(crate) fn state(&self) -> State<'_> {
        match (&self.claim, &self.record) {
            (Err(reason), _) => State::Unreadable(reason),
            (Ok(_), _) if self.topic.is_none() => State::Foreign,
            (Ok(_), None) => State::Gone(self.redriven_ms),
            (Ok(_), Some(record)) => {
                self.redriven_ms.map_or(State::Pending(record), State::Redriven)
            }
        }
    }

    pub(crate) const fn returns(&self) -> u32 {
        self.returns
    }

    /// The timestamp of the record, in milliseconds since the epoch.
    pub(crate) fn written_ms(&self) -> Option<i64> {
        self.record.as_ref().and_then(|record| record.timestamp_ms)
    }

    /// Compares the value in the message, if it has one, with the record on the topic.
    pub(crate) fn differs(&self) -> bool {
        match (&self.claim, &self.record) {
            (Ok(claim), Some(record)) => claim.value.is_some() && claim.value != record.value,
            _ => false,
        }
    }
}

/// The content of the topic, not yet compared with the records.
pub(crate) struct Unverified<'a> {
    topics: &'a TopicNames,
    dead_letters: Vec<DeadLetter>,
    /// With their timestamps, in milliseconds since the epoch.
    receipts: Vec<(Receipt, i64)>,
}

impl<'a> Unverified<'a> {
    pub(crate) fn of(messages: Vec<DeadLetterMessage>, topics: &'a TopicNames) -> Self {
        let (mut dead_letters, mut receipts) = (Vec::new(), Vec::new());
        for message in messages {
            if let Some(receipt) = Receipt::read(&message.value) {
                receipts.push((receipt, message.timestamp_ms.unwrap_or_default()));
                continue;
            }
            let content = message::read(&message.value);
            dead_letters.extend(content.claims.into_iter().map(|claim| DeadLetter {
                message: message.position.clone(),
                message_key: message.key.clone(),
                given_up_ms: message.timestamp_ms,
                cause: content.cause.clone(),
                topic: claim.as_ref().ok().and_then(|it| topics.topic(&it.position.topic)),
                claim,
                record: None,
                redriven_ms: None,
                returns: 0,
            }));
        }
        Self { topics, dead_letters, receipts }
    }

    /// The positions on topics of the workflow that dead letters and receipts name.
    pub(crate) fn positions(&self) -> BTreeSet<Position> {
        let claims = self.dead_letters.iter().filter_map(|it| it.claim.as_ref().ok());
        let receipts = self.receipts.iter();
        let redriven = receipts.flat_map(|(receipt, _)| [&receipt.record, &receipt.redriven_as]);
        let positions = claims.map(|claim| &claim.position).chain(redriven);
        positions.filter(|it| self.topics.topic(&it.topic).is_some()).cloned().collect()
    }

    /// Compares everything with the records at [`Self::positions`].
    pub(crate) fn verify(mut self, records: &HashMap<Position, Record>) -> Vec<DeadLetter> {
        let mut receipts: HashMap<_, Vec<_>> = HashMap::new();
        for (receipt, at_ms) in &self.receipts {
            let key = (&receipt.dead_letter, &receipt.record);
            receipts.entry(key).or_default().push((&receipt.redriven_as, *at_ms));
        }
        let origins = Origins::of(self.receipts.iter().map(|(receipt, _)| receipt), records);
        for dead_letter in &mut self.dead_letters {
            let position = dead_letter.position().clone();
            let candidates = receipts.get(&(&dead_letter.message, &position)).into_iter().flatten();
            let record = records.get(&position);
            let mut valid = candidates.filter(|(redriven_as, _)| {
                let copy = records.get(*redriven_as);
                // A record that is gone cannot be hidden.
                record.is_none_or(|record| copy.is_some_and(|it| it.is_later_copy_of(record)))
            });
            dead_letter.redriven_ms = valid.next().map(|(_, at_ms)| *at_ms);
            dead_letter.record = record.cloned();
            dead_letter.returns = origins.returns(&position);
        }
        self.dead_letters.sort_by(|one, other| {
            one.position().cmp(other.position()).then_with(|| one.message.cmp(&other.message))
        });
        self.dead_letters
    }
}
