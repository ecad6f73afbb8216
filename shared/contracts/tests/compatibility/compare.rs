//! Compatibility of a schema with its published version.
//!
//! The rule, in both directions: a reader of the published schema can read every new event, and a
//! reader of the new schema can read every event that is still on a topic or is redriven to it. So
//! a published field never changes; only texts for people may change, and optional fields may be
//! added.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that do not affect which events are valid.
const TEXTS_FOR_PEOPLE: [&str; 4] = ["title", "description", "examples", "$comment"];

/// Every incompatible change in `new`, each with the path of the field.
pub(crate) fn breaks(published: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(published, new, "event", &mut found);
    found
}

fn compare(published: &Value, new: &Value, place: &str, found: &mut Vec<String>) {
    let (Some(published), Some(new)) = (published.as_object(), new.as_object()) else {
        if published != new {
            found.push(format!("{place}: was {published}, is {new}"));
        }
        return;
    };
    let keywords: BTreeSet<&str> = published.keys().chain(new.keys()).map(String::as_str).collect();
    for keyword in keywords {
        let (was, is) = (published.get(keyword), new.get(keyword));
        match (keyword, was, is) {
            (keyword, _, _) if TEXTS_FOR_PEOPLE.contains(&keyword) => {}
            ("properties", was, is) => compare_fields(fields(was), fields(is), place, found),
            ("items", Some(was), Some(is)) => compare(was, is, &format!("{place}/items"), found),
            // Sets: the order does not matter.
            ("required" | "enum" | "type", Some(was), Some(is)) if set(was) == set(is) => {}
            (_, was, is) if was == is => {}
            (_, was, is) => {
                let text = |it: Option<&Value>| it.map_or("missing".to_owned(), Value::to_string);
                found.push(format!("{place}: {keyword} was {}, is {}", text(was), text(is)));
            }
        }
    }
}

/// A field may be added, but not removed.
fn compare_fields(
    published: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    place: &str,
    found: &mut Vec<String>,
) {
    for (name, was) in published.into_iter().flatten() {
        let place = format!("{place}/{name}");
        match new.and_then(|new| new.get(name)) {
            Some(is) => compare(was, is, &place, found),
            None => found.push(format!("{place}: removed")),
        }
    }
}

fn fields(properties: Option<&Value>) -> Option<&Map<String, Value>> {
    properties.and_then(Value::as_object)
}

fn set(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(values) => values.iter().map(Value::to_string).collect(),
        one => BTreeSet::from([one.to_string()]),
    }
}
