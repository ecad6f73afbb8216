//! The items that a request writes, and their write units.

use std::collections::HashMap;

use serde_json::Value;

use super::item_size::{item_size, write_units};
use super::statement::inserted;

/// Identifies an item: table and key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ItemKey(pub String);

/// A write to one item, with its units outside a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub item: ItemKey,
    pub units: u64,
}

/// The names of each table's key attributes.
#[derive(Debug, Clone, Default)]
pub struct TableKeys(pub HashMap<String, Vec<String>>);

impl TableKeys {
    /// The key of an item, from its attributes; `None` for an unknown table.
    pub fn item(&self, table: &str, attributes: &Value) -> Option<ItemKey> {
        let names = self.0.get(table)?.iter();
        let values: Option<Vec<String>> =
            names.map(|name| attributes.get(name).map(Value::to_string)).collect();
        Some(ItemKey(format!("{table} {}", values?.join(" "))))
    }

    /// The write of each action of a transaction.
    pub fn actions(&self, request: &Value) -> Vec<Option<Write>> {
        let actions = request["TransactItems"].as_array().into_iter().flatten();
        let action = |action: &Value| self.single(action.as_object()?.values().next()?);
        actions.map(action).collect()
    }

    /// A put, update or delete.
    pub fn single(&self, request: &Value) -> Option<Write> {
        let table = request["TableName"].as_str()?;
        match request["Item"].as_object() {
            Some(item) => Some(Write {
                item: self.item(table, &request["Item"])?,
                units: write_units(item_size(item)),
            }),
            // The item is not in the request; it counts as 1 KB.
            None => Some(Write { item: self.item(table, &request["Key"])?, units: 1 }),
        }
    }

    /// The writes of `PartiQL` statements; `None` for statements other than inserts.
    pub fn statements(&self, request: &Value) -> Vec<Option<Write>> {
        let statements = request["Statements"].as_array().into_iter().flatten();
        let write = |statement: &Value| {
            let text = statement["Statement"].as_str()?;
            let verb = text.split_whitespace().next()?;
            let is_insert = verb.eq_ignore_ascii_case("INSERT");
            is_insert.then(|| self.single(&inserted(text, &statement["Parameters"])))?
        };
        statements.map(write).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys() -> TableKeys {
        let orders = vec!["orderId".to_owned(), "stage".to_owned()];
        TableKeys(HashMap::from([
            ("Orders".to_owned(), orders),
            ("Stock".to_owned(), vec!["sku".to_owned()]),
        ]))
    }

    fn row(bytes: usize) -> Value {
        json!({ "orderId": { "S": "o" }, "stage": { "S": "s" }, "event": { "S": "x".repeat(bytes) } })
    }

    #[test]
    fn a_put_and_an_update_name_the_same_item() {
        let hot = json!({ "sku": { "S": "HOT" }, "available": { "N": "1" } });
        let put = keys().single(&json!({ "TableName": "Stock", "Item": hot }));
        let key = json!({ "sku": { "S": "HOT" } });
        let update = keys().single(&json!({ "TableName": "Stock", "Key": key }));
        assert_eq!(put, update);
        assert_eq!(put.unwrap().item, keys().item("Stock", &key).unwrap());
        assert_eq!(keys().single(&json!({ "TableName": "Other", "Key": key })), None);
    }

    #[test]
    fn an_action_takes_a_unit_for_each_started_kb() {
        let put = json!({ "Put": { "TableName": "Orders", "Item": row(1_024) } });
        let update = json!({ "Update": { "TableName": "Stock", "Key": { "sku": { "S": "A" } } } });
        let writes = keys().actions(&json!({ "TransactItems": [put, update] }));
        let units: Vec<u64> = writes.into_iter().flatten().map(|write| write.units).collect();
        assert_eq!(units, [2, 1]);
    }

    #[test]
    fn a_statement_that_inserts_is_a_put() {
        let insert = json!({
            "Statement": "INSERT INTO \"Orders\" VALUE {'orderId': ?, 'stage': ?, 'event': ?}",
            "Parameters": [{ "S": "o" }, { "S": "s" }, { "S": "x" }],
        });
        let select = json!({ "Statement": "SELECT * FROM \"Orders\" WHERE orderId = ?" });
        let writes = keys().statements(&json!({ "Statements": [insert, select] }));
        let put = keys().single(&json!({ "TableName": "Orders", "Item": row(1) }));
        assert_eq!(writes, [put, None]);
    }
}
