//! An item of the orders table, in DynamoDB's JSON.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::{Row, row::Item};
use serde_json::Value;

pub(crate) fn run(input: &[u8]) {
    let Some(item) = item(input) else { return };
    let (key, row) = Row::from_item(&item);
    match row {
        Ok(row) => {
            assert_eq!(key.as_ref(), Some(&row.key));
            let written = row.to_item();
            let (_, again) = Row::from_item(&written);
            let again = again.unwrap_or_else(|error| unreadable(&error.to_string()));
            assert_eq!((&again.key, &again.body), (&row.key, &row.body));
            assert_eq!((again.digest, again.expires_at), (row.digest, row.expires_at));
            if let Some(stored) = row.event() {
                // The stored event is published byte for byte.
                let text = item.get("event").and_then(|event| event.as_s().ok());
                assert_eq!(text, Some(&stored.body));
            }
            assert!(row.size_bytes() >= row.event().map_or(0, |event| event.body.len()));
            let code = row.rejection_code();
            assert!(code.is_none() || row.event().is_some());
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("cannot read row "), "{text}");
            let id = key.map_or(0, |key| key.id.len());
            assert!(text.len() < id + 128, "the error quotes the item: {text}");
        }
    }
}

#[expect(clippy::panic, reason = "a property does not hold")]
fn unreadable(error: &str) -> Row {
    panic!("a row that was read cannot be read back: {error}")
}

/// The item; `None` if the input is not one.
fn item(input: &[u8]) -> Option<Item> {
    let Value::Object(attributes) = serde_json::from_slice(input).ok()? else { return None };
    let attributes = attributes.into_iter().map(|(name, value)| Some((name, attribute(&value)?)));
    attributes.collect()
}

fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = value.as_str().map(ToOwned::to_owned);
    match kind.as_str() {
        "S" => text.map(AttributeValue::S),
        "N" => text.map(AttributeValue::N),
        "B" => Some(AttributeValue::B(Blob::new(BASE64_STANDARD.decode(text?).ok()?))),
        "BOOL" => value.as_bool().map(AttributeValue::Bool),
        "NULL" => value.as_bool().map(AttributeValue::Null),
        "L" => {
            value.as_array()?.iter().map(attribute).collect::<Option<_>>().map(AttributeValue::L)
        }
        _ => None,
    }
}
