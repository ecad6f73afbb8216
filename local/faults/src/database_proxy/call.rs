//! A request to DynamoDB, taken apart.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// An operation and its parameters.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation, such as `PutItem`.
    pub operation: String,
    pub body: Value,
}

impl Call {
    /// A body that is not JSON has no parts.
    pub(super) fn read(operation: &str, body: &[u8]) -> Self {
        let body = serde_json::from_slice(body).unwrap_or_default();
        Self { operation: operation.to_owned(), body }
    }

    /// The statements of a batch, the actions of a transaction, the keys of a `BatchGetItem`; of
    /// any other request, the whole.
    #[must_use]
    pub fn parts(&self) -> Vec<&Value> {
        match self.operation.as_str() {
            "BatchExecuteStatement" => array(&self.body, "Statements").iter().collect(),
            "TransactWriteItems" => array(&self.body, "TransactItems").iter().collect(),
            "BatchGetItem" => self.asked().flat_map(|(_, asked)| array(asked, "Keys")).collect(),
            _ => vec![&self.body],
        }
    }

    /// The places of the writes among the parts.
    pub(super) fn writes(&self) -> Vec<(usize, &Value)> {
        let is_write = match self.operation.as_str() {
            "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" => |_: &Value| true,
            "BatchExecuteStatement" => |statement: &Value| !is_select(statement),
            _ => return Vec::new(),
        };
        self.parts().into_iter().enumerate().filter(|(_, part)| is_write(part)).collect()
    }

    /// The tables of the request.
    #[must_use]
    pub fn tables(&self) -> BTreeSet<&str> {
        match self.operation.as_str() {
            "BatchGetItem" => self.asked().map(|(name, _)| name.as_str()).collect(),
            "BatchExecuteStatement" => {
                let statements = self.parts().into_iter();
                let texts = statements.filter_map(|it| it.get("Statement")?.as_str());
                texts.filter_map(|text| text.split('"').nth(1)).collect()
            }
            "TransactWriteItems" => {
                let actions = self.parts().into_iter().filter_map(Value::as_object);
                actions.flat_map(Map::values).filter_map(table_of).collect()
            }
            _ => table_of(&self.body).into_iter().collect(),
        }
    }

    /// True if a table's name, which may have a prefix, ends like this.
    #[must_use]
    pub fn names_table(&self, table: &str) -> bool {
        self.tables().iter().any(|name| name.ends_with(table))
    }

    /// The tables of a `BatchGetItem` with what is asked of each.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.body.get("RequestItems").and_then(Value::as_object).into_iter().flatten()
    }
}

fn table_of(request: &Value) -> Option<&str> {
    request.get("TableName")?.as_str()
}

fn is_select(statement: &Value) -> bool {
    let text = statement.get("Statement").and_then(Value::as_str).unwrap_or_default();
    text.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}

/// The elements of a field; none if it is missing.
pub(super) fn array<'a>(body: &'a Value, field: &str) -> &'a [Value] {
    body.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
