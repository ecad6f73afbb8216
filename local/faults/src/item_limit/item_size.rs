//! The size of an item, as DynamoDB counts it.

use serde_json::{Map, Value};

/// Write units of an item of this many bytes: one for each started KB.
#[must_use]
pub fn write_units(size: u64) -> u64 {
    size.div_ceil(1024).max(1)
}

/// Bytes of an item: the names of its attributes and their values.
pub fn item_size(item: &Map<String, Value>) -> u64 {
    item.iter().map(|(name, value)| bytes(name.len()) + value_size(value)).sum()
}

/// Bytes of some of its attributes.
pub fn item_size_of(item: &Map<String, Value>, names: &[String]) -> u64 {
    let present = names.iter().filter_map(|name| item.get_key_value(name));
    present.map(|(name, value)| bytes(name.len()) + value_size(value)).sum()
}

fn value_size(value: &Value) -> u64 {
    let Some((kind, content)) = value.as_object().and_then(|tagged| tagged.iter().next()) else {
        return 1;
    };
    match kind.as_str() {
        "S" => text(content),
        "N" => number(content),
        "B" => binary(content),
        "SS" => elements(content).map(text).sum(),
        "NS" => elements(content).map(number).sum(),
        "BS" => elements(content).map(binary).sum(),
        // A list or map takes three bytes, and one for each element.
        "L" => 3 + elements(content).map(|element| 1 + value_size(element)).sum::<u64>(),
        "M" => {
            let size = content.as_object().map_or(0, |map| item_size(map) + bytes(map.len()));
            3 + size
        }
        _ => 1,
    }
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> u64 {
    bytes(value.as_str().map_or(0, str::len))
}

/// A byte for every two digits, and one.
fn number(value: &Value) -> u64 {
    let digits = value.as_str().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    bytes(digits.div_ceil(2) + 1)
}

/// The bytes behind the Base64 of the request.
fn binary(value: &Value) -> u64 {
    let encoded = value.as_str().unwrap_or_default().trim_end_matches('=');
    bytes(encoded.len() * 3 / 4)
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_values_count() {
        let item = json!({
            "id": { "S": "abc" },
            "n": { "N": "-12.5" },
            "b": { "B": "AAEC" },
            "t": { "BOOL": true },
            "l": { "L": [{ "S": "xy" }] },
            "m": { "M": { "k": { "S": "v" } } },
        });
        let item = item.as_object().unwrap();
        assert_eq!(item_size(item), (2 + 3) + (1 + 3) + (1 + 3) + (1 + 1) + (1 + 6) + (1 + 6));
        assert_eq!(item_size_of(item, &["id".to_owned(), "other".to_owned()]), 5);
    }
}
