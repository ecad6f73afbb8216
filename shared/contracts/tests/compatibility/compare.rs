//! May a schema take the place of a published one?
//!
//! The rule, in both directions: who reads by the published schema can read every new event, and
//! who reads by the new schema can read every event that still lies on a topic or is put back
//! there. So what was published of a field stays as it is, word for word; only texts for people may
//! change, and fields that nobody has to send may come.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What says nothing about which events are valid.
const TEXTS_FOR_PEOPLE: [&str; 4] = ["title", "description", "examples", "$comment"];

/// Every way in which `new` breaks the rule, each with the place of the field.
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
            (text, _, _) if TEXTS_FOR_PEOPLE.contains(&text) => {}
            ("properties", was, is) => compare_fields(fields(was), fields(is), place, found),
            ("items", Some(was), Some(is)) => compare(was, is, &format!("{place}/items"), found),
            // Sets, whose order means nothing.
            ("required" | "enum" | "type", Some(was), Some(is)) if set(was) == set(is) => {}
            (_, was, is) if was == is => {}
            (_, was, is) => {
                let said = |it: Option<&Value>| it.map_or("not there".to_owned(), Value::to_string);
                found.push(format!("{place}: {keyword} was {}, is {}", said(was), said(is)));
            }
        }
    }
}

/// A field may come; one that is there may not go.
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
