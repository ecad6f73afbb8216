//! Publishes records on their topics again, with a receipt for each.
//!
//! One record at a time, each followed by its receipt: records of a partition keep their order, and
//! a crash leaves at most one record without a receipt.

use std::time::{Duration, Instant};

use crate::dead_letter::{DeadLetter, State};
use crate::outcome::Outcome;
use crate::position::Position;
use crate::record::Record;
use crate::writer::Writer;

/// The records that are refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Records written before, in milliseconds since the epoch.
    pub(crate) oldest_ms: Option<i64>,
    /// Records that came back more often.
    pub(crate) allowed_returns: Option<u32>,
}

/// Where a run ends before its last record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most records to publish.
    pub(crate) max: Option<usize>,
    /// No record is begun that might not end by then, in the time that one may take.
    pub(crate) deadline: Option<(Instant, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Max,
    Deadline,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Redrive<'a> {
    /// In the order of the selection, without the records that are left.
    pub(crate) outcomes: Vec<(&'a DeadLetter, Outcome)>,
    /// Dead letters that could be redriven and were not begun.
    pub(crate) left: usize,
    /// The limit that left them.
    pub(crate) limit: Option<Limit>,
}

/// Redrives these dead letters in order. Without a writer it is a dry run, which writes nothing.
pub(crate) async fn redrive<'a>(
    mut writer: Option<Writer>,
    dead_letters: &'a [DeadLetter],
    rules: Rules,
    limits: Limits,
) -> Redrive<'a> {
    let mut run = Redrive { outcomes: Vec::new(), left: 0, limit: None };
    let mut begun = 0;
    let mut previous: Option<&Position> = None;
    for dead_letter in dead_letters {
        let record = match (skip(dead_letter, rules), dead_letter.record()) {
            (None, Some(record)) => record,
            (outcome, _) => {
                run.outcomes.extend(outcome.map(|outcome| (dead_letter, outcome)));
                continue;
            }
        };
        // Two functions gave up this record: one copy reaches both.
        let is_repeated = previous == Some(&record.position);
        if !is_repeated {
            run.limit = run.limit.or_else(|| limits.reached(begun));
            if run.limit.is_some() {
                run.left += 1;
                continue;
            }
            begun += 1;
            previous = Some(&record.position);
        }
        let outcome = match &mut writer {
            Some(writer) => writer.redrive(dead_letter, record).await,
            None => Outcome::WouldRedrive,
        };
        run.outcomes.push((dead_letter, outcome));
    }
    run
}

impl Limits {
    fn reached(&self, begun: usize) -> Option<Limit> {
        let is_late = |(deadline, needed): (Instant, Duration)| Instant::now() + needed > deadline;
        match self {
            Self { max: Some(max), .. } if begun >= *max => Some(Limit::Max),
            Self { deadline: Some(deadline), .. } if is_late(*deadline) => Some(Limit::Deadline),
            _ => None,
        }
    }
}

/// The outcome of a dead letter that is not to be redriven; `None` if it is.
fn skip(dead_letter: &DeadLetter, rules: Rules) -> Option<Outcome> {
    match dead_letter.state() {
        State::Pending(record) => refusal(dead_letter, record, rules).map(Outcome::NotRedriven),
        State::Redriven(at_ms) | State::Gone(Some(at_ms)) => Some(Outcome::AlreadyRedriven(at_ms)),
        State::Gone(None) => Some(Outcome::NotRedriven("no record at this position".to_owned())),
        State::Foreign => Some(Outcome::NotRedriven("not a topic of the workflow".to_owned())),
        State::Unreadable(reason) => Some(Outcome::NotRedriven(format!("unreadable: {reason}"))),
    }
}

fn refusal(dead_letter: &DeadLetter, record: &Record, rules: Rules) -> Option<String> {
    let returns = dead_letter.returns();
    if rules.allowed_returns.is_some_and(|allowed| returns > allowed) {
        return Some(format!(
            "it was redriven {returns} times and given up again each time (fix the cause, then use \
             --force; in a payload: force)"
        ));
    }
    let is_older = rules.oldest_ms.zip(record.timestamp_ms).is_some_and(|(oldest, at)| at < oldest);
    is_older.then(|| "it is older than its stages' rows: see the warning".to_owned())
}
