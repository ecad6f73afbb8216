//! Checks the event schemas against their published versions.
//!
//! `schemas/published/` has the versions that consumers rely on. A compatible new version is copied
//! there with its release.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod compare;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use contracts::EventType;
use serde_json::{Value, json};

use crate::compare::breaks;

#[test]
fn every_published_schema_still_holds() {
    let (published, current) = (schemas("schemas/published"), schemas("schemas"));
    for (name, was) in &published {
        let is = current.get(name).unwrap_or_else(|| panic!("published schema {name} is missing"));
        assert_eq!(breaks(was, is), Vec::<String>::new(), "{name}: see docs/consume.md");
    }
    // Without a published version, nothing checks a schema.
    let events = EventType::ALL.iter().map(|event_type| format!("{event_type}.json"));
    let expected: BTreeSet<_> = events.chain(["headers.json".to_owned()]).collect();
    assert_eq!(published.into_keys().collect::<BTreeSet<_>>(), expected);
    assert_eq!(current.into_keys().collect::<BTreeSet<_>>(), expected);
}

/// A schema that a consumer relies on.
fn published() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "An order.",
        "type": "object",
        "required": ["orderId"],
        "properties": {
            "orderId": { "type": "string", "minLength": 1 },
            "note": { "description": "Anything." },
            "state": { "enum": ["OPEN", "CLOSED"] },
            "total": { "type": "number", "exclusiveMinimum": 0 },
            "lines": { "type": "array", "items": {
                "type": "object",
                "required": ["sku"],
                "properties": { "sku": { "type": "string" }, "quantity": { "type": "integer" } },
            } },
        },
    })
}

/// The published schema with one change; `null` removes the value.
fn changed(pointer: &str, to: Value) -> Value {
    let mut schema = published();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = schema.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match to {
        Value::Null => drop(parent.remove(name)),
        to => drop(parent.insert(name.to_owned(), to)),
    }
    schema
}

#[test]
fn a_field_that_is_removed_or_changed_is_found() {
    let order = |name: &str, value: Value| json!({ "orderId": "ord-1", name: value });
    let (text, below_zero) = (order("total", json!("12.50")), order("total", json!(-5)));
    let no_quantity = order("lines", json!([{ "sku": "A" }]));
    let odd_quantity = order("lines", json!([{ "sku": "A", "quantity": "2" }]));
    // The change, and an event that only one of the two schemas accepts.
    let changes = [
        ("/properties/total", Value::Null, text.clone()),
        ("/properties", Value::Null, text),
        ("/properties/lines/items/properties/quantity", Value::Null, odd_quantity),
        ("/properties/lines/items", Value::Null, order("lines", json!([1]))),
        // Narrowed, then widened.
        ("/properties/total/type", json!("integer"), order("total", json!(12.50))),
        ("/properties/total/type", json!(["number", "null"]), order("total", Value::Null)),
        ("/properties/total/exclusiveMinimum", json!(10), order("total", json!(5))),
        ("/properties/total/exclusiveMinimum", Value::Null, below_zero),
        ("/properties/total/multipleOf", json!(1), order("total", json!(12.50))),
        ("/properties/orderId/minLength", json!(0), json!({ "orderId": "" })),
        ("/properties/note/type", json!("string"), order("note", json!(1))),
        ("/properties/note", json!(false), order("note", json!(1))),
        ("/additionalProperties", json!(false), order("unknown", json!(1))),
        // One value removed, then one added.
        ("/properties/state/enum", json!(["OPEN"]), order("state", json!("CLOSED"))),
        (
            "/properties/state/enum",
            json!(["OPEN", "CLOSED", "LOST"]),
            order("state", json!("LOST")),
        ),
        // A required field made optional, then an optional field made required.
        ("/required", json!([]), json!({})),
        ("/required", json!(["orderId", "total"]), order("note", json!(1))),
        ("/properties/lines/items/required", json!(["sku", "quantity"]), no_quantity),
    ];
    for (pointer, to, event) in changes {
        let new = changed(pointer, to);
        let found = breaks(&published(), &new);
        let expected = if pointer == "/properties" { 5 } else { 1 };
        assert_eq!(found.len(), expected, "{pointer}: {found:?}");
        let [was, is] = [published(), new].map(|schema| jsonschema::is_valid(&schema, &event));
        assert_ne!(was, is, "{pointer}: {event} does not distinguish the schemas");
    }
    // Removing a field without constraints makes no event valid or invalid.
    let removed = breaks(&published(), &changed("/properties/note", Value::Null));
    assert_eq!(removed, ["event/note: removed"]);
}

#[test]
fn unconstrained_parts_may_change() {
    let allowed = [
        ("/description", json!("An order, in other words.")),
        ("/properties/note/description", Value::Null),
        ("/properties/gift", json!({ "type": "boolean" })),
        ("/properties/lines/items/properties/colour", json!({ "type": "string" })),
        ("/properties/state/enum", json!(["CLOSED", "OPEN"])),
        ("/properties/total/type", json!(["number"])),
    ];
    for (pointer, to) in allowed {
        let found = breaks(&published(), &changed(pointer, to));
        assert_eq!(found, Vec::<String>::new(), "{pointer}");
    }
}

/// The schemas of a folder, by file name.
fn schemas(folder: &str) -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            assert!(jsonschema::meta::is_valid(&schema), "{name}");
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
            (name, schema)
        })
        .collect()
}
