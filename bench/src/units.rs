//! Capacity units of a DynamoDB request, by the published rules.
//!
//! A write takes one unit for each started KB of the item, also if its condition fails, and twice
//! that in a transaction. A consistent read takes one unit for each started 4 KB, at least one.
//! Updated items are not in the request; they count as 1 KB.

use std::collections::HashMap;

use faults::item_limit::item_size::{item_size, item_size_of, write_units};
use faults::item_limit::statement::{inserted, nth};
use serde_json::Value;

/// Requests, items and capacity units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) requests: u64,
    /// Items that were written or read.
    pub(crate) items: u64,
    pub(crate) write_units: u64,
    /// Half units: an eventually consistent read takes one.
    pub(crate) read_half_units: u64,
}

impl Usage {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.items += other.items;
        self.write_units += other.write_units;
        self.read_half_units += other.read_half_units;
    }

    fn write(units: u64) -> Self {
        Self { items: 1, write_units: units, ..Self::default() }
    }

    fn read(items: u64, half_units: u64) -> Self {
        Self { items, read_half_units: half_units, ..Self::default() }
    }

    /// Twice the units, for a transaction.
    fn doubled(self) -> Self {
        Self {
            write_units: 2 * self.write_units,
            read_half_units: 2 * self.read_half_units,
            ..self
        }
    }
}

/// The attributes of each index, by table; an item that has the key attributes is in the index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Indexes(pub(crate) HashMap<String, Vec<Index>>);

#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) key: Vec<String>,
    /// `None` if the index contains the whole item.
    pub(crate) projected: Option<Vec<String>>,
}

impl Indexes {
    /// The units of a request.
    pub(crate) fn usage(&self, operation: &str, request: &Value, response: &Value) -> Usage {
        let mut usage = match operation {
            "PutItem" => self.put(request, response),
            "UpdateItem" | "DeleteItem" => Usage::write(written_units(response)),
            "TransactWriteItems" => {
                sum(array(&request["TransactItems"]).map(|it| self.action(it).doubled()))
            }
            "BatchWriteItem" => self.batch_write(request),
            "ExecuteStatement" => self.statement(request, response),
            "BatchExecuteStatement" => self.statements(&request["Statements"], response),
            "ExecuteTransaction" => {
                self.statements(&request["TransactStatements"], response).doubled()
            }
            "GetItem" => {
                let size = response["Item"].as_object().map_or(0, item_size);
                Usage::read(1, read_half_units(size, is_consistent(request)))
            }
            "BatchGetItem" => batch_get(request, response),
            "TransactGetItems" => {
                sum(array(&request["TransactItems"]).enumerate().map(|(at, _)| {
                    let size =
                        nth(&response["Responses"], at)["Item"].as_object().map_or(0, item_size);
                    Usage::read(1, read_half_units(size, true)).doubled()
                }))
            }
            "Query" | "Scan" => {
                let items = array(&response["Items"]);
                let (count, size) = items
                    .filter_map(Value::as_object)
                    .fold((0, 0), |(n, sum), it| (n + 1, sum + item_size(it)));
                Usage::read(count, read_half_units(size, is_consistent(request)))
            }
            _ => Usage::default(),
        };
        usage.requests = 1;
        usage
    }

    /// A put, alone or in a transaction or batch, with the index entries of its item.
    fn put(&self, put: &Value, response: &Value) -> Usage {
        // A put whose condition failed is charged by the existing item.
        let item = response["Item"].as_object().or_else(|| put["Item"].as_object());
        let Some(item) = item else { return Usage::default() };
        let table = put["TableName"].as_str().unwrap_or_default();
        let indexes = self.0.get(table).into_iter().flatten();
        let in_indexes = indexes
            .filter(|index| index.key.iter().all(|name| item.contains_key(name)))
            .map(|index| match &index.projected {
                None => write_units(item_size(item)),
                Some(names) => write_units(item_size_of(item, names)),
            });
        Usage::write(write_units(item_size(item)) + in_indexes.sum::<u64>())
    }

    fn action(&self, action: &Value) -> Usage {
        match action.get("Put") {
            Some(put) => self.put(put, &Value::Null),
            None => Usage::write(1),
        }
    }

    fn batch_write(&self, request: &Value) -> Usage {
        let tables = request["RequestItems"].as_object().into_iter().flatten();
        sum(tables.flat_map(|(table, writes)| {
            array(writes).map(move |write| {
                let mut put = write["PutRequest"].clone();
                match put.as_object_mut() {
                    None => Usage::write(1),
                    Some(fields) => {
                        fields.insert("TableName".to_owned(), table.as_str().into());
                        self.put(&put, &Value::Null)
                    }
                }
            })
        }))
    }

    fn statements(&self, statements: &Value, response: &Value) -> Usage {
        sum(array(statements)
            .enumerate()
            .map(|(at, it)| self.statement(it, nth(&response["Responses"], at))))
    }

    /// A `PartiQL` statement: an insert, a read by key, or another write.
    fn statement(&self, statement: &Value, response: &Value) -> Usage {
        let text = statement["Statement"].as_str().unwrap_or_default();
        let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "INSERT" => self.put(&inserted(text, &statement["Parameters"]), &Value::Null),
            "SELECT" => {
                let size = response["Item"].as_object().map_or(0, item_size);
                Usage::read(1, read_half_units(size, is_consistent(statement)))
            }
            _ => Usage::write(1),
        }
    }
}

fn batch_get(request: &Value, response: &Value) -> Usage {
    let tables = request["RequestItems"].as_object().into_iter().flatten();
    sum(tables.map(|(table, keys)| {
        let consistent = is_consistent(keys);
        let found = array(response["Responses"].get(table).unwrap_or(&Value::Null))
            .filter_map(Value::as_object);
        let found: Vec<u64> =
            found.map(|item| read_half_units(item_size(item), consistent)).collect();
        let asked = array(&keys["Keys"]).count();
        let missing = asked.saturating_sub(found.len());
        let missing = u64::try_from(missing).unwrap_or_default() * read_half_units(0, consistent);
        let asked = u64::try_from(asked).unwrap_or_default();
        Usage::read(asked, found.iter().sum::<u64>() + missing)
    }))
}

fn is_consistent(request: &Value) -> bool {
    request["ConsistentRead"].as_bool().unwrap_or_default()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn sum(usages: impl Iterator<Item = Usage>) -> Usage {
    usages.fold(Usage::default(), |mut sum, usage| {
        sum.add(usage);
        sum
    })
}

/// An update is charged by its item, which only some responses contain.
fn written_units(response: &Value) -> u64 {
    let item = response["Attributes"].as_object().or_else(|| response["Item"].as_object());
    item.map_or(1, |item| write_units(item_size(item)))
}

fn read_half_units(size: u64, consistent: bool) -> u64 {
    size.div_ceil(4096).max(1) * if consistent { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn units(operation: &str, request: &Value, response: &Value) -> (u64, u64, u64) {
        let index = Index {
            key: vec!["customerId".to_owned(), "acceptedAt".to_owned()],
            projected: Some(vec!["customerId".to_owned(), "acceptedAt".to_owned()]),
        };
        let indexes = Indexes([("Orders".to_owned(), vec![index])].into());
        let usage = indexes.usage(operation, request, response);
        assert_eq!(usage.requests, 1);
        (usage.items, usage.write_units, usage.read_half_units)
    }

    fn item(bytes: usize) -> Value {
        json!({ "id": { "S": "x".repeat(bytes - 2) } })
    }

    #[test]
    fn a_put_takes_a_unit_for_each_started_kb() {
        let put = |bytes| json!({ "TableName": "Other", "Item": item(bytes) });
        assert_eq!(units("PutItem", &put(1_024), &json!({})), (1, 1, 0));
        assert_eq!(units("PutItem", &put(1_025), &json!({})), (1, 2, 0));
        let refused = json!({ "__type": "ConditionalCheckFailedException", "Item": item(3_000) });
        assert_eq!(units("PutItem", &put(100), &refused), (1, 3, 0));
    }

    #[test]
    fn an_item_with_the_keys_of_an_index_is_written_there_too() {
        let listed = json!({ "TableName": "Orders", "Item": {
            "id": { "S": "x".repeat(2_000) }, "customerId": { "S": "c" }, "acceptedAt": { "S": "t" },
        }});
        assert_eq!(units("PutItem", &listed, &json!({})), (1, 3, 0));
    }

    #[test]
    fn a_transaction_costs_twice() {
        let transaction = json!({ "TransactItems": [
            { "Put": { "TableName": "Other", "Item": item(500) } }, { "Update": {} },
        ]});
        assert_eq!(units("TransactWriteItems", &transaction, &json!({})), (2, 4, 0));
    }

    #[test]
    fn statements_cost_as_single_writes_do() {
        let statement = json!({
            "Statement": "INSERT INTO \"Other\" VALUE {'id': ?, 'event' : ?}",
            "Parameters": [{ "S": "x" }, { "S": "y".repeat(1_024) }],
        });
        let batch = json!({ "Statements": [statement, statement] });
        assert_eq!(units("BatchExecuteStatement", &batch, &json!({})), (2, 4, 0));
    }

    #[test]
    fn reads_take_at_least_one_unit_and_half_of_it_where_eventually_consistent() {
        let get = json!({ "ConsistentRead": true });
        assert_eq!(units("GetItem", &get, &json!({})), (1, 0, 2));
        assert_eq!(units("GetItem", &get, &json!({ "Item": item(4_097) })), (1, 0, 4));
        assert_eq!(units("GetItem", &json!({}), &json!({ "Item": item(10) })), (1, 0, 1));
        let batch =
            json!({ "RequestItems": { "T": { "ConsistentRead": true, "Keys": [{}, {}] } } });
        let found = json!({ "Responses": { "T": [item(5_000)] } });
        assert_eq!(units("BatchGetItem", &batch, &found), (2, 0, 6));
    }
}
