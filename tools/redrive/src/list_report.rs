//! The function's result of `list`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    commands::Page,
    dead_letter::{DeadLetter, State},
    report::{MAX_RECORDS, rfc3339, text, texts_of_warnings},
    table::key,
};

/// A page goes on to the last dead letter of its last record; forged ones could be any number.
const MAX_REPEATS: usize = 100;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListReport {
    dead_letters: Vec<ListEntry>,
    /// How many dead letters of the last record are not listed.
    omitted: usize,
    /// How many follow.
    left: usize,
    /// The payload that lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListEntry {
    record: String,
    dead_letter: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up_at: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redriven_at: Option<String>,
    returns: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl ListReport {
    /// `payload` is that of the invocation.
    pub(crate) fn new(page: &Page, payload: &Value, now: Timestamp) -> Self {
        let last = page.dead_letters.last().filter(|_| page.left > 0);
        let next = last.map(|last| {
            let mut next = payload.clone();
            if let Some(fields) = next.as_object_mut() {
                fields.insert("after".to_owned(), json!(last.position()));
            }
            next
        });
        let dead_letters = page.dead_letters.iter().take(MAX_RECORDS + MAX_REPEATS);
        Self {
            omitted: page.dead_letters.len() - dead_letters.len(),
            dead_letters: dead_letters.map(|it| ListEntry::new(it, now)).collect(),
            left: page.left,
            next,
        }
    }
}

impl ListEntry {
    fn new(dead_letter: &DeadLetter, now: Timestamp) -> Self {
        let cause = &dead_letter.cause;
        let (state, reason, redriven_ms) = match dead_letter.state() {
            State::Pending(_) => ("pending", None, None),
            State::Redriven(at_ms) => ("redriven", None, Some(at_ms)),
            State::Gone(at_ms) => ("gone", None, at_ms),
            State::Foreign => ("foreign", None, None),
            State::Unreadable(reason) => ("unreadable", Some(text(reason)), None),
        };
        Self {
            record: text(&dead_letter.position().to_string()),
            dead_letter: dead_letter.message.to_string(),
            key: key(dead_letter),
            function: cause.function.as_deref().map(text),
            condition: cause.condition.as_deref().map(text),
            function_error: cause.function_error.as_deref().map(text),
            written_at: dead_letter.written_ms().and_then(rfc3339),
            given_up_at: dead_letter.given_up_ms.and_then(rfc3339),
            state,
            reason,
            redriven_at: redriven_ms.and_then(rfc3339),
            returns: dead_letter.returns(),
            warnings: texts_of_warnings(dead_letter, now),
        }
    }
}
