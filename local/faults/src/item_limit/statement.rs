//! Converts `PartiQL` inserts to the equivalent puts.

use serde_json::{Map, Value};

/// The put that is equivalent to `INSERT INTO "Table" VALUE {'name': ?, …}`.
pub fn inserted(statement: &str, parameters: &Value) -> Value {
    let table = statement.split('"').nth(1).unwrap_or_default();
    let names: Vec<&str> = statement
        .split('\'')
        .collect::<Vec<_>>()
        .windows(2)
        .filter(|pair| pair.last().is_some_and(|after| after.trim_start().starts_with(':')))
        .filter_map(|pair| pair.first().copied())
        .collect();
    let item: Map<String, Value> = match (names.as_slice(), nth(parameters, 0)["M"].as_object()) {
        ([], Some(whole)) => whole.clone(),
        // Names without a parameter have small literal values.
        (names, _) => {
            let values = parameters
                .as_array()
                .into_iter()
                .flatten()
                .cloned()
                .chain(std::iter::repeat(Value::Null));
            names.iter().map(|name| (*name).to_owned()).zip(values).collect()
        }
    };
    serde_json::json!({ "TableName": table, "Item": item })
}

/// The element at an index, or null.
pub fn nth(value: &Value, index: usize) -> &Value {
    value.get(index).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_insert_names_its_table_and_pairs_names_with_parameters() {
        let statement = r#"INSERT INTO "Orders" VALUE {'id': ?, 'event' : ?, 'kind': 'x'}"#;
        let put = inserted(statement, &json!([{ "S": "1" }, { "S": "{}" }]));
        assert_eq!(put["TableName"], "Orders");
        let item = json!({ "id": { "S": "1" }, "event": { "S": "{}" }, "kind": null });
        assert_eq!(put["Item"], item);
    }

    #[test]
    fn an_item_may_be_one_parameter() {
        let item = json!({ "id": { "S": "1" } });
        let put = inserted(r#"INSERT INTO "Orders" VALUE ?"#, &json!([{ "M": item }]));
        assert_eq!(put["Item"], item);
    }
}
