//! Texts and limits of the function's results, which stay below Lambda's 6 MB whatever the dead
//! letters contain.

use jiff::Timestamp;
use terminal::printable;

use crate::{dead_letter::DeadLetter, format::cut_to, warnings::warnings};

/// The most records of one response. With [`MAX_TEXT_CHARS`] it stays below 6 MB.
pub(crate) const MAX_RECORDS: usize = 1_000;

/// Characters of a text that a dead letter brings, or that quotes it.
const MAX_TEXT_CHARS: usize = 240;

pub(crate) fn text(text: &str) -> String {
    cut_to(MAX_TEXT_CHARS, &printable(text))
}

pub(crate) fn texts_of_warnings(dead_letter: &DeadLetter, now: Timestamp) -> Vec<String> {
    warnings(dead_letter, now).map(|warning| text(&warning)).collect()
}

pub(crate) fn rfc3339(at_ms: i64) -> Option<String> {
    Timestamp::from_millisecond(at_ms).ok().map(|at| format!("{at:.3}"))
}
