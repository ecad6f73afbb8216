//! Warnings about pending dead letters.

use jiff::{SignedDuration, Timestamp};

use crate::dead_letter::{DeadLetter, State};
use crate::format::{age, in_words};

/// The lifetime of the stages' rows: `ROW_TTL_DAYS` of `template.yaml`.
///
/// Without its row, a stage decides about an order again, with all effects.
const ROW_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The time since which rows are kept, in milliseconds since the epoch.
pub(crate) fn rows_since_ms(now: Timestamp) -> i64 {
    now.checked_sub(ROW_TTL).map_or(i64::MIN, Timestamp::as_millisecond)
}

/// One line if a pending record is older than its rows, and one if it differs from its dead letter.
pub(crate) fn warnings(dead_letter: &DeadLetter, now: Timestamp) -> impl Iterator<Item = String> {
    let pending = Some(dead_letter).filter(|it| matches!(it.state(), State::Pending(_)));
    pending.into_iter().flat_map(move |it| [expired_rows(it, now), difference(it)]).flatten()
}

fn expired_rows(dead_letter: &DeadLetter, now: Timestamp) -> Option<String> {
    let age = age(dead_letter.written_ms()?, now).filter(|age| *age > ROW_TTL)?;
    Some(format!(
        "{} was written {} ago, and stages keep their rows for {}: they would decide \
         about it again (--all and --since skip it, naming its position redrives it)",
        dead_letter.position(),
        in_words(age),
        in_words(ROW_TTL),
    ))
}

fn difference(dead_letter: &DeadLetter) -> Option<String> {
    dead_letter.differs().then(|| {
        format!(
            "{} differs from its copy in the dead letter {}: the record on the topic is \
             redriven, not the copy",
            dead_letter.position(),
            dead_letter.message,
        )
    })
}
