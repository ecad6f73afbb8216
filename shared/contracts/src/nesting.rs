//! How deep may an event nest, so that every stage and every failure can still be read?

use serde_json::Value;

use crate::EventType;

/// The deepest nesting of an event that is taken.
///
/// The JSON reader stops at 128 levels, and a failure event wraps the payload once more: an event
/// at the reader's limit could be taken in but its failure could not be read.
pub const MAX_NESTING: usize = 100;

/// What a failure event may nest deeper than the event it reports.
const FAILURE_WRAPPING: usize = 2;

/// The deepest nesting of a payload of this event.
pub(crate) const fn max_nesting(event_type: EventType) -> usize {
    if event_type.is_failure() { MAX_NESTING + FAILURE_WRAPPING } else { MAX_NESTING }
}

/// How many lists and objects lie inside each other, the value itself included.
#[must_use]
pub fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(nesting).max().unwrap_or_default(),
        Value::Object(object) => 1 + object.values().map(nesting).max().unwrap_or_default(),
        _ => 0,
    }
}
