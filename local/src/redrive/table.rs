//! What does a person get to read? Tables with one line for a record, and what to do next.

use std::collections::BTreeMap;

use comfy_table::Table;
use jiff::{SignedDuration, Timestamp};
use local::foreign_text::printable;

use super::dead_letter::GivenUp;
use super::entry::{Entry, State};
use super::put_back::Outcome;
use super::topic::DEAD_LETTER_TOPIC;
use super::words::{age, ago, cut, in_words};
use crate::readable::{TABLE, grouped};

/// How long the stages keep their rows: `ROW_TTL_DAYS` of `template.yaml`.
///
/// A stage that has no row for an order any more decides about it once again, with all effects.
const ROWS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What lies there, and what to do about it.
pub(crate) fn list(entries: &[&Entry], now: Timestamp) -> Vec<String> {
    if entries.is_empty() {
        return vec![format!("No dead letter lies on {DEAD_LETTER_TOPIC}.")];
    }
    let mut lines = Vec::new();
    // What is to be mended is the same for all that one function gave up for one reason.
    let mut by_reason: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        by_reason.entry(reason(&entry.given_up)).or_default().push(entry);
    }
    for (reason, entries) in by_reason {
        lines.extend([reason, records_table(&entries, now), String::new()]);
    }
    let mut remarks: Vec<String> =
        entries.iter().filter_map(|entry| hopeless(entry)).chain(warnings(entries, now)).collect();
    if !remarks.is_empty() {
        remarks.push(String::new());
    }
    lines.extend(remarks);
    let mut waiting = entries.iter().filter(|entry| matches!(entry.state(), State::Waits(_)));
    match waiting.next() {
        None => lines.push("None of them waits to be put back.".to_owned()),
        Some(example) => lines.extend([
            "Once what they failed on is mended, put back one, or all that wait:".to_owned(),
            String::new(),
            format!("  cargo run -- redrive put-back {}", example.position()),
            "  cargo run -- redrive put-back --all".to_owned(),
        ]),
    }
    lines
}

fn records_table(entries: &[&Entry], now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(TABLE).set_header(["Record", "Key", "Written", "Given up", "State"]);
    for entry in entries {
        table.add_row([
            printable(&entry.position().to_string()),
            key(entry),
            ago(written_ms(entry), now),
            ago(entry.given_up_ms, now),
            state(entry, now),
        ]);
    }
    table.to_string()
}

/// What came of putting these entries back.
pub(crate) fn outcomes(entries: &[&Entry], outcomes: &[Outcome], now: Timestamp) -> Vec<String> {
    if entries.is_empty() {
        return vec![format!(
            "Nothing to put back: no dead letter of those lies on {DEAD_LETTER_TOPIC}."
        )];
    }
    let mut table = Table::new();
    table.load_style(TABLE).set_header(["Record", "Key", "Outcome"]);
    for (entry, outcome) in entries.iter().zip(outcomes) {
        let position = printable(&entry.position().to_string());
        table.add_row([position, key(entry), outcome_text(outcome, now)]);
    }
    vec![table.to_string(), summary(outcomes)]
}

fn outcome_text(outcome: &Outcome, now: Timestamp) -> String {
    match outcome {
        Outcome::PutBack(position) => format!("put back as {position}"),
        Outcome::WouldPutBack => "would be put back".to_owned(),
        Outcome::WasPutBack(at_ms) => format!("left: was put back {}", ago(Some(*at_ms), now)),
        Outcome::PutBackWithoutReceipt(position, reason) => format!(
            "put back as {position}, but its receipt is not written, so the next run puts it back \
             again: {}",
            printable(reason)
        ),
        Outcome::NotPutBack(reason) => format!("not put back: {}", printable(reason)),
    }
}

fn summary(outcomes: &[Outcome]) -> String {
    let count = |counted: fn(&Outcome) -> bool| {
        let count = outcomes.iter().filter(|outcome| counted(outcome)).count();
        (count > 0).then(|| records(count))
    };
    let parts = [
        (count(|it| matches!(it, Outcome::PutBack(_))), "put back"),
        (count(|it| matches!(it, Outcome::WouldPutBack)), "would be put back"),
        (count(|it| matches!(it, Outcome::WasPutBack(_))), "put back before and left as it is"),
        (
            count(|it| matches!(it, Outcome::PutBackWithoutReceipt(..))),
            "put back without a receipt",
        ),
        (count(|it| matches!(it, Outcome::NotPutBack(_))), "not put back"),
    ];
    let parts = parts.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", count?)));
    format!("{}.", parts.collect::<Vec<_>>().join(", "))
}

fn records(count: usize) -> String {
    let noun = if count == 1 { "record" } else { "records" };
    format!("{} {noun}", grouped(u64::try_from(count).unwrap_or(u64::MAX)))
}

/// Before this time, in milliseconds since the epoch, whatever was written is forgotten by its stages.
pub(crate) fn forgotten_before_ms(now: Timestamp) -> i64 {
    now.checked_sub(ROWS_KEPT).map_or(i64::MIN, Timestamp::as_millisecond)
}

/// A line for each record that waits and that its stage has forgotten, or that its letter misstates.
pub(crate) fn warnings(entries: &[&Entry], now: Timestamp) -> Vec<String> {
    let waiting = entries.iter().filter(|entry| matches!(entry.state(), State::Waits(_)));
    waiting.flat_map(|entry| [forgotten(entry, now), misstated(entry)]).flatten().collect()
}

fn forgotten(entry: &Entry, now: Timestamp) -> Option<String> {
    let age = age(written_ms(entry)?, now).filter(|age| *age > ROWS_KEPT)?;
    Some(format!(
        "warning: {} was written {} ago, and stages keep their rows for {}: what was decided about \
         it is forgotten, and would be decided again; --all leaves it, its position puts it back",
        entry.position(),
        in_words(age),
        in_words(ROWS_KEPT),
    ))
}

fn misstated(entry: &Entry) -> Option<String> {
    entry.differs().then(|| {
        format!(
            "warning: {} is not what the dead letter {} says: what goes back is what lies there",
            entry.position(),
            entry.letter,
        )
    })
}

fn state(entry: &Entry, now: Timestamp) -> String {
    match entry.state() {
        State::Waits(_) => "waits".to_owned(),
        State::WasPutBack(at_ms) => format!("put back {}", ago(Some(at_ms), now)),
        State::Gone(None) => "gone".to_owned(),
        State::Gone(Some(at_ms)) => format!("gone, put back {}", ago(Some(at_ms), now)),
        State::Foreign => "foreign".to_owned(),
        State::Unreadable(_) => "unreadable".to_owned(),
    }
}

/// Why an entry can never be put back from here, and where to look at it.
fn hopeless(entry: &Entry) -> Option<String> {
    let position = printable(&entry.position().to_string());
    match entry.state() {
        State::Unreadable(reason) => {
            Some(format!("{position} is unreadable: {}", printable(reason)))
        }
        State::Gone(None) => Some(format!(
            "{position} is gone: retention has removed it, or the dead letter {} is forged",
            entry.letter
        )),
        _ => None,
    }
}

/// Who gave it up and why: `Given up by validator: RetriesExhausted, Unhandled`.
fn reason(given_up: &GivenUp) -> String {
    if *given_up == GivenUp::default() {
        return "Given up by whom and why is not told".to_owned();
    }
    let function = given_up.function.as_deref().unwrap_or("an unnamed function");
    let condition = given_up.condition.as_deref().unwrap_or("no reason told");
    let error = given_up.function_error.iter().flat_map(|error| [", ", error.as_str()]);
    printable(&format!("Given up by {function}: {condition}{}", error.collect::<String>()))
}

/// The record's key or, where it is not there, that of its letter.
fn key(entry: &Entry) -> String {
    let key = match entry.record() {
        Some(record) => record.key.as_deref(),
        None => entry.letter_key.as_deref(),
    };
    key.map_or_else(|| "none".to_owned(), |key| cut(&printable(&String::from_utf8_lossy(key))))
}

fn written_ms(entry: &Entry) -> Option<i64> {
    entry.record().and_then(|record| record.timestamp_ms)
}
