//! Filters records by their value, with `EventBridge`'s patterns as Lambda applies them to Kafka.

mod parse;

use std::cmp::Ordering;

use serde_json::Value;

/// Lambda allows 5, and up to 20 on request.
const MAX_FILTERS: usize = 20;
/// Lambda's limit in characters.
const MAX_PATTERN: usize = 4_096;

/// A record is delivered if any filter matches; all are if there is no filter.
#[derive(Debug, Clone, Default)]
pub struct FilterCriteria {
    filters: Vec<Pattern>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(String);

#[derive(Debug, Clone)]
enum Pattern {
    All(Vec<Pattern>),
    Any(Vec<Pattern>),
    Field(String, Box<Pattern>),
    Leaf(Vec<Operator>),
}

#[derive(Debug, Clone)]
enum Operator {
    Equals(Value),
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    Numeric(Vec<Bound>),
    AnythingBut(Vec<Operator>),
    Exists(bool),
}

/// An accepted ordering of a number to this one.
type Bound = (fn(Ordering) -> bool, f64);

impl FilterCriteria {
    /// # Errors
    /// [`FilterError`] names the filter and the place in its pattern.
    pub fn parse(patterns: &[impl AsRef<str>]) -> Result<Self, FilterError> {
        if patterns.len() > MAX_FILTERS {
            return Err(FilterError(format!("at most {MAX_FILTERS} filters are allowed")));
        }
        let filters = patterns.iter().enumerate().map(|(index, pattern)| {
            let number = index.saturating_add(1);
            parse::filter(pattern.as_ref())
                .map_err(|error| FilterError(format!("filter {number}: {error}")))
        });
        Ok(Self { filters: filters.collect::<Result<_, _>>()? })
    }

    /// A pattern for JSON drops plain text, and a pattern for plain text drops JSON.
    #[must_use]
    pub fn matches(&self, value: Option<&[u8]>) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        let Some(text) = value.and_then(|value| str::from_utf8(value).ok()) else { return false };
        let json = serde_json::from_str(text).ok();
        let json = json.filter(|json: &Value| json.is_object() || json.is_array());
        let is_json = json.is_some();
        let value = json.unwrap_or_else(|| Value::String(text.to_owned()));
        self.filters.iter().any(|filter| {
            matches!(filter, Pattern::Leaf(_)) != is_json && filter.matches(Some(&value))
        })
    }
}

impl Pattern {
    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            // One element must satisfy all fields.
            (Self::All(_), Some(Value::Array(items))) if !items.is_empty() => {
                items.iter().any(|item| self.matches(Some(item)))
            }
            (Self::All(patterns), _) => patterns.iter().all(|pattern| pattern.matches(value)),
            (Self::Any(patterns), _) => patterns.iter().any(|pattern| pattern.matches(value)),
            (Self::Field(name, pattern), _) => {
                pattern.matches(value.and_then(|value| value.get(name)))
            }
            (Self::Leaf(operators), _) => {
                let leaves = value.map(leaves).unwrap_or_default();
                operators.iter().any(|operator| match operator {
                    Operator::Exists(expected) => leaves.is_empty() != *expected,
                    operator => leaves.iter().any(|leaf| operator.accepts(leaf)),
                })
            }
        }
    }
}

/// The value itself, or the elements of an array. An object is not a leaf.
fn leaves(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(_) => Vec::new(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        leaf => vec![leaf],
    }
}

impl Operator {
    fn accepts(&self, leaf: &Value) -> bool {
        let text = leaf.as_str();
        match self {
            Self::Equals(expected) => {
                leaf == expected
                    || expected
                        .as_f64()
                        .is_some_and(|number| compare(leaf, number).is_some_and(Ordering::is_eq))
            }
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::EqualsIgnoreCase(expected) => {
                text.is_some_and(|text| text.to_lowercase() == *expected)
            }
            Self::Numeric(bounds) => {
                bounds.iter().all(|(holds, bound)| compare(leaf, *bound).is_some_and(holds))
            }
            Self::AnythingBut(excluded) => !excluded.iter().any(|operator| operator.accepts(leaf)),
            Self::Exists(expected) => *expected,
        }
    }
}

fn compare(leaf: &Value, number: f64) -> Option<Ordering> {
    leaf.as_f64()?.partial_cmp(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &[&str], value: &str) -> bool {
        FilterCriteria::parse(patterns).unwrap().matches(Some(value.as_bytes()))
    }

    /// The record of AWS's documentation on Kafka filters.
    const DEVICE: &str = r#"{
        "device_ID": "AB1234",
        "session": { "start_time": "2026-01-02T03:04:05", "duration": 162 },
        "tags": ["red", "blue"], "places": [{ "id": 1, "open": true }, { "id": 2, "open": false }],
        "empty": "", "none": null, "on": true
    }"#;

    #[test]
    fn each_operator_matches_as_documented() {
        for (field, is_match) in [
            (r#""device_ID": [{ "prefix": "AB" }]"#, true),
            (r#""device_ID": [{ "prefix": "ab" }]"#, false),
            (r#""device_ID": [{ "suffix": "34" }]"#, true),
            (r#""device_ID": [{ "suffix": "35" }]"#, false),
            (r#""device_ID": [{ "equals-ignore-case": "aB1234" }]"#, true),
            (r#""device_ID": [{ "equals-ignore-case": "aB12345" }]"#, false),
            (r#""device_ID": ["X", "AB1234"]"#, true),
            (r#""device_ID": ["X"]"#, false),
            (r#""device_ID": [{ "anything-but": ["X", "Y"] }]"#, true),
            (r#""device_ID": [{ "anything-but": "AB1234" }]"#, false),
            (r#""device_ID": [{ "anything-but": { "prefix": "AB" } }]"#, false),
            (r#""device_ID": [{ "anything-but": { "prefix": "XY" } }]"#, true),
            (r#""absent": [{ "anything-but": ["X"] }]"#, false),
            (r#""session": { "duration": [162] }"#, true),
            (r#""session": { "duration": [162.0] }"#, true),
            (r#""session": { "duration": ["162"] }"#, false),
            (r#""session": { "duration": [{ "numeric": ["=", 162] }] }"#, true),
            (r#""session": { "duration": [{ "numeric": [">", 10, "<=", 162] }] }"#, true),
            (r#""session": { "duration": [{ "numeric": [">", 10, "<", 162] }] }"#, false),
            (r#""session": { "duration": [{ "numeric": [">=", 162] }] }"#, true),
            (r#""session": { "duration": [{ "numeric": [">", 162] }] }"#, false),
            (r#""device_ID": [{ "numeric": [">", 0] }]"#, false),
            (r#""device_ID": [{ "exists": true }]"#, true),
            (r#""device_ID": [{ "exists": false }]"#, false),
            (r#""absent": [{ "exists": false }]"#, true),
            // Only a leaf exists.
            (r#""session": [{ "exists": true }]"#, false),
            (r#""absent": { "deeper": [{ "exists": false }] }"#, true),
            (r#""empty": [""]"#, true),
            (r#""none": [null]"#, true),
            (r#""absent": [null]"#, false),
            (r#""on": [true]"#, true),
            (r#""on": [false]"#, false),
            (r#""tags": ["blue"]"#, true),
            (r#""tags": ["green"]"#, false),
            (r#""places": { "id": [1], "open": [true] }"#, true),
            (r#""places": { "id": [1], "open": [false] }"#, false),
            (r#""device_ID": [{ "prefix": "AB" }], "on": [true]"#, true),
            (r#""device_ID": [{ "prefix": "AB" }], "on": [false]"#, false),
            (r#""$or": [{ "on": [false] }, { "device_ID": [{ "prefix": "AB" }] }]"#, true),
            (r#""$or": [{ "on": [false] }, { "device_ID": ["X"] }]"#, false),
            (r#""session": { "$or": [{ "duration": [1] }, { "duration": [162] }] }"#, true),
        ] {
            let pattern = format!(r#"{{ "value": {{ {field} }} }}"#);
            assert_eq!(matches(&[&pattern], DEVICE), is_match, "{field}");
        }
    }

    #[test]
    fn one_of_several_filters_is_enough() {
        let [a, b] = [r#"{"value": {"on": [false]}}"#, r#"{"value": {"tags": ["red"]}}"#];
        assert!(matches(&[a, b], DEVICE));
        assert!(!matches(&[a], DEVICE));
        assert!(matches(&[], DEVICE));
    }

    #[test]
    fn a_pattern_for_text_matches_text_only() {
        let text = r#"{ "value": [{ "anything-but": ["error"] }] }"#;
        for (value, is_match) in
            [("fine", true), ("error", false), ("", true), (r#"{"a":1}"#, false), ("[1]", false)]
        {
            assert_eq!(matches(&[text], value), is_match, "{value}");
        }
        let json = r#"{ "value": { "a": [{ "exists": false }] } }"#;
        for (value, is_match) in [("fine", false), ("{}", true), (r#"{"a":1}"#, false)] {
            assert_eq!(matches(&[json], value), is_match, "{value}");
        }
    }

    #[test]
    fn a_record_without_text_matches_no_filter() {
        let filters = FilterCriteria::parse(&[r#"{"value": [{"exists": false}]}"#]).unwrap();
        assert!(!filters.matches(None));
        assert!(!filters.matches(Some(&[0xff])));
        assert!(FilterCriteria::default().matches(None));
        assert!(FilterCriteria::default().matches(Some(&[0xff])));
    }

    #[test]
    fn a_malformed_pattern_is_refused_with_its_place() {
        let long = format!(r#"{{"value": ["{}"]}}"#, "x".repeat(MAX_PATTERN));
        for (pattern, expected) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "one key"),
            (r#"{"key": ["a"]}"#, "one key"),
            (r#"{"value": ["a"], "topic": ["b"]}"#, "one key"),
            (r#"{"value": {}}"#, "value: a pattern must be"),
            (r#"{"value": "a"}"#, "value: a pattern must be"),
            (r#"{"value": {"a": {"b": 1}}}"#, "value.a.b: a pattern must be"),
            (r#"{"value": {"a": []}}"#, "value.a: a pattern must be"),
            (r#"{"value": {"a": [["b"]]}}"#, "value.a: an array"),
            (r#"{"value": {"a": [{"prefix": "b", "suffix": "c"}]}}"#, "value.a: an object"),
            (r#"{"value": {"a": [{"wildcard": "b*"}]}}"#, "the operator \"wildcard\""),
            (r#"{"value": {"a": [{"prefix": 1}]}}"#, "the operand of \"prefix\""),
            (r#"{"value": {"a": [{"exists": "yes"}]}}"#, "the operand of \"exists\""),
            (r#"{"value": {"a": [{"anything-but": []}]}}"#, "the operand of \"anything-but\""),
            (r#"{"value": {"a": [{"anything-but": null}]}}"#, "the operand of \"anything-but\""),
            (r#"{"value": {"a": [{"numeric": []}]}}"#, "the operand of \"numeric\""),
            (r#"{"value": {"a": [{"numeric": ["<", 1, ">", 0]}]}}"#, "the operand of \"numeric\""),
            (r#"{"value": {"a": [{"numeric": [">", 2, "<", 1]}]}}"#, "the operand of \"numeric\""),
            (r#"{"value": {"a": [{"numeric": ["~", 2]}]}}"#, "the operand of \"numeric\""),
            (r#"{"value": {"a": [{"numeric": ["="]}]}}"#, "the operand of \"numeric\""),
            (r#"{"value": {"$or": [{"a": [1]}]}}"#, "value: $or"),
            (&long, "longer than 4096 characters"),
        ] {
            let fine = r#"{"value": ["a"]}"#;
            let error = FilterCriteria::parse(&[fine, pattern]).unwrap_err().to_string();
            assert!(error.starts_with("filter 2: ") && error.contains(expected), "{error}");
        }
        let error = FilterCriteria::parse(&[r#"{"value": ["a"]}"#; 21]).unwrap_err().to_string();
        assert_eq!(error, "at most 20 filters are allowed");
    }
}
