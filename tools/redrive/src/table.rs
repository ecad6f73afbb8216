//! Tables for the terminal, one line for each record, and the next command to run.

use std::collections::BTreeMap;

use comfy_table::Table;
use jiff::Timestamp;
use terminal::{TABLE, grouped, printable};

use crate::commands::Page;
use crate::dead_letter::{DeadLetter, State};
use crate::format::{ago, cut};
use crate::message::Cause;
use crate::outcome::Outcome;
use crate::redrive::Redrive;
use crate::warnings::warnings;

/// The lines of `redrive list`.
pub(crate) fn list(page: &Page, now: Timestamp) -> Vec<String> {
    let dead_letters = &page.dead_letters;
    if dead_letters.is_empty() {
        return vec!["No dead letters.".to_owned()];
    }
    let mut lines = Vec::new();
    // One function and cause need one fix.
    let mut by_cause: BTreeMap<String, Vec<&DeadLetter>> = BTreeMap::new();
    for dead_letter in dead_letters {
        by_cause.entry(cause(&dead_letter.cause)).or_default().push(dead_letter);
    }
    for (cause, dead_letters) in by_cause {
        lines.extend([cause, records_table(&dead_letters, now), String::new()]);
    }
    let remarks = dead_letters.iter().filter_map(not_redrivable);
    let mut remarks: Vec<_> = remarks.chain(warning_lines(dead_letters, now)).collect();
    if !remarks.is_empty() {
        remarks.push(String::new());
    }
    lines.extend(remarks);
    let mut pending = dead_letters.iter().filter(|it| matches!(it.state(), State::Pending(_)));
    match pending.next() {
        None => lines.push("None of them is pending.".to_owned()),
        Some(example) => lines.extend([
            "Once the cause is fixed, redrive one record, or all that are pending:".to_owned(),
            String::new(),
            format!("  cargo run --bin redrive -- run {}", example.position()),
            "  cargo run --bin redrive -- run --all".to_owned(),
        ]),
    }
    if let (1.., Some(last)) = (page.left, dead_letters.last()) {
        let left = records(page.left);
        lines.push(format!("{left} left: list again with --after {}", last.position()));
    }
    lines
}

pub(crate) fn warning_lines<'a>(
    dead_letters: impl IntoIterator<Item = &'a DeadLetter>,
    now: Timestamp,
) -> impl Iterator<Item = String> {
    let warnings = dead_letters.into_iter().flat_map(move |it| warnings(it, now));
    warnings.map(|warning| format!("warning: {warning}"))
}

fn records_table(dead_letters: &[&DeadLetter], now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(TABLE).set_header(["Record", "Key", "Written", "Given up", "State"]);
    for dead_letter in dead_letters {
        table.add_row([
            printable(&dead_letter.position().to_string()),
            key(dead_letter),
            ago(dead_letter.written_ms(), now),
            ago(dead_letter.given_up_ms, now),
            state(dead_letter, now),
        ]);
    }
    table.to_string()
}

fn state(dead_letter: &DeadLetter, now: Timestamp) -> String {
    match dead_letter.state() {
        State::Pending(_) => match dead_letter.returns() {
            0 => "pending".to_owned(),
            1 => "pending, came back once".to_owned(),
            times => format!("pending, came back {times} times"),
        },
        State::Redriven(at_ms) => format!("redriven {}", ago(Some(at_ms), now)),
        State::Gone(None) => "gone".to_owned(),
        State::Gone(Some(at_ms)) => format!("gone, redriven {}", ago(Some(at_ms), now)),
        State::Foreign => "foreign".to_owned(),
        State::Unreadable(_) => "unreadable".to_owned(),
    }
}

/// Why a record cannot be redriven, unless its state says so.
fn not_redrivable(dead_letter: &DeadLetter) -> Option<String> {
    let position = printable(&dead_letter.position().to_string());
    match dead_letter.state() {
        State::Unreadable(reason) => {
            Some(format!("{position} is unreadable: {}", printable(reason)))
        }
        State::Gone(None) => Some(format!(
            "{position} is gone: retention has removed it, or the dead letter {} is forged",
            dead_letter.message
        )),
        _ => None,
    }
}

/// For example `Given up by validator: RetriesExhausted, Unhandled`.
fn cause(cause: &Cause) -> String {
    if *cause == Cause::default() {
        return "Given up: function and cause unknown".to_owned();
    }
    let function = cause.function.as_deref().unwrap_or("an unknown function");
    let condition = cause.condition.as_deref().unwrap_or("cause unknown");
    let error = cause.function_error.iter().flat_map(|error| [", ", error.as_str()]);
    printable(&format!("Given up by {function}: {condition}{}", error.collect::<String>()))
}

/// The record's key, or the dead letter's if the record is gone.
pub(crate) fn key(dead_letter: &DeadLetter) -> String {
    let key = match dead_letter.record() {
        Some(record) => record.key.as_deref(),
        None => dead_letter.message_key.as_deref(),
    };
    key.map_or_else(|| "none".to_owned(), |key| cut(&printable(&String::from_utf8_lossy(key))))
}

/// The lines of `redrive run`.
pub(crate) fn outcomes(run: &Redrive<'_>, now: Timestamp) -> Vec<String> {
    if run.outcomes.is_empty() && run.left == 0 {
        return vec!["Nothing to redrive: no such dead letters.".to_owned()];
    }
    let mut table = Table::new();
    table.load_style(TABLE).set_header(["Record", "Key", "Outcome"]);
    for (dead_letter, outcome) in &run.outcomes {
        let position = printable(&dead_letter.position().to_string());
        table.add_row([position, key(dead_letter), outcome_text(outcome, now)]);
    }
    let mut lines = vec![table.to_string(), summary(run)];
    if run.left > 0 {
        lines.push(format!("{} left: run again.", records(run.left)));
    }
    lines
}

fn outcome_text(outcome: &Outcome, now: Timestamp) -> String {
    match outcome {
        Outcome::Redriven(position) => format!("redriven as {position}"),
        Outcome::WouldRedrive => "would be redriven".to_owned(),
        Outcome::AlreadyRedriven(at_ms) => format!("already redriven {}", ago(Some(*at_ms), now)),
        Outcome::RedrivenWithoutReceipt(position, reason) => format!(
            "redriven as {position} without a receipt, so the next run redrives it again: {}",
            printable(reason)
        ),
        Outcome::NotRedriven(reason) => format!("not redriven: {}", printable(reason)),
    }
}

fn summary(run: &Redrive<'_>) -> String {
    let count = |counted: fn(&Outcome) -> bool| {
        let count = run.outcomes.iter().filter(|(_, outcome)| counted(outcome)).count();
        (count > 0).then(|| records(count))
    };
    let parts = [
        (count(|it| matches!(it, Outcome::Redriven(_))), "redriven"),
        (count(|it| matches!(it, Outcome::WouldRedrive)), "would be redriven"),
        (count(|it| matches!(it, Outcome::AlreadyRedriven(_))), "already redriven"),
        (
            count(|it| matches!(it, Outcome::RedrivenWithoutReceipt(..))),
            "redriven without a receipt",
        ),
        (count(|it| matches!(it, Outcome::NotRedriven(_))), "not redriven"),
    ];
    let parts = parts.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", count?)));
    format!("{}.", parts.collect::<Vec<_>>().join(", "))
}

fn records(count: usize) -> String {
    let noun = if count == 1 { "record" } else { "records" };
    format!("{} {noun}", grouped(u64::try_from(count).unwrap_or(u64::MAX)))
}
