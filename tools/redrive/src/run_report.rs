//! The function's result of `run`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    dead_letter::DeadLetter,
    outcome::Outcome,
    redrive::{Limit, Redrive},
    report::{MAX_RECORDS, text, texts_of_warnings},
    table::key,
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunReport {
    /// The number of dead letters by outcome.
    counts: BTreeMap<&'static str, usize>,
    /// How many need attention.
    errors: usize,
    /// Dead letters that could be redriven and were not begun.
    left: usize,
    /// Why they are left: `max` or `deadline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_by: Option<&'static str>,
    outcomes: Vec<RunEntry>,
    /// How many outcomes are counted and not listed.
    omitted: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunEntry {
    record: String,
    dead_letter: String,
    key: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redriven_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl RunReport {
    /// Lists the records that were begun first: they cannot be listed again.
    pub(crate) fn new(run: &Redrive<'_>, now: Timestamp) -> Self {
        let mut counts = BTreeMap::new();
        for (_, outcome) in &run.outcomes {
            *counts.entry(name(outcome)).or_default() += 1;
        }
        let (begun, others): (Vec<_>, Vec<_>) =
            run.outcomes.iter().partition(|(_, outcome)| is_begun(outcome));
        let listed = begun.into_iter().chain(others).take(MAX_RECORDS);
        let outcomes: Vec<_> =
            listed.map(|(it, outcome)| RunEntry::new(it, outcome, now)).collect();
        Self {
            counts,
            errors: run.outcomes.iter().filter(|(_, outcome)| outcome.is_error()).count(),
            left: run.left,
            stopped_by: run.limit.map(|limit| match limit {
                Limit::Max => "max",
                Limit::Deadline => "deadline",
            }),
            omitted: run.outcomes.len() - outcomes.len(),
            outcomes,
        }
    }
}

impl RunEntry {
    fn new(dead_letter: &DeadLetter, outcome: &Outcome, now: Timestamp) -> Self {
        let (redriven_as, reason) = match outcome {
            Outcome::Redriven(position) => (Some(position.to_string()), None),
            Outcome::RedrivenWithoutReceipt(position, reason) => {
                (Some(position.to_string()), Some(text(reason)))
            }
            Outcome::NotRedriven(reason) => (None, Some(text(reason))),
            Outcome::WouldRedrive | Outcome::AlreadyRedriven(_) => (None, None),
        };
        Self {
            record: text(&dead_letter.position().to_string()),
            dead_letter: dead_letter.message.to_string(),
            key: key(dead_letter),
            outcome: name(outcome),
            redriven_as,
            reason,
            warnings: texts_of_warnings(dead_letter, now),
        }
    }
}

pub(crate) const fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Redriven(_) => "redriven",
        Outcome::WouldRedrive => "wouldRedrive",
        Outcome::AlreadyRedriven(_) => "alreadyRedriven",
        Outcome::RedrivenWithoutReceipt(..) => "redrivenWithoutReceipt",
        Outcome::NotRedriven(_) => "notRedriven",
    }
}

const fn is_begun(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Redriven(_) | Outcome::RedrivenWithoutReceipt(..) | Outcome::WouldRedrive
    )
}
