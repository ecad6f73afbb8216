//! The statements of a request: what it does for each order.

use std::collections::{BTreeMap, BTreeSet};

use faults::{database_proxy::Call, item_limit::statement::inserted};
use serde_json::Value;

/// A request's statement about one order.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    /// Operation, table, and shape: stages, attributes, expressions.
    pub(crate) name: String,
    /// The order, or the customer of a query; empty if it is for all.
    pub(crate) owner: String,
    /// The places of the rows among the request's parts.
    pub(crate) rows: Vec<usize>,
    /// The places of the items with effects.
    pub(crate) items: Vec<usize>,
}

/// The statements of a request.
pub(crate) fn statements(call: &Call) -> Vec<Statement> {
    let operation = call.operation.as_str();
    match operation {
        "BatchExecuteStatement" => {
            let parts = call.parts().into_iter().enumerate();
            parts.map(|(place, part)| insert(place, part)).collect()
        }
        "TransactWriteItems" => transaction(call),
        "BatchGetItem" => look_ups(call),
        _ => vec![single(call)],
    }
}

fn insert(place: usize, part: &Value) -> Statement {
    let text = part["Statement"].as_str().unwrap_or_default();
    let put = inserted(text, &part["Parameters"]);
    let verb = text.split_whitespace().next().unwrap_or_default();
    Statement {
        name: format!("{verb} {} {}", table(&put), row(&put["Item"])),
        owner: owner(&put["Item"]),
        rows: vec![place],
        items: Vec::new(),
    }
}

/// The rows that a transaction puts, each with the updates of the transaction.
fn transaction(call: &Call) -> Vec<Statement> {
    let parts: Vec<_> = call.parts().into_iter().enumerate().collect();
    let updates = parts.iter().filter(|(_, part)| part.get("Update").is_some());
    let (items, shapes): (Vec<usize>, BTreeSet<String>) = updates
        .map(|(place, part)| {
            let update = &part["Update"];
            let text = |name: &str| update[name].as_str().unwrap_or_default();
            let (adds, condition) = (text("UpdateExpression"), text("ConditionExpression"));
            (*place, format!(" + Update {} {adds} if {condition}", table(update)))
        })
        .unzip();
    let shapes: String = shapes.into_iter().collect();
    let puts = parts.iter().filter_map(|(place, part)| Some((place, part.get("Put")?)));
    puts.map(|(place, put)| Statement {
        name: format!("Transact: Put {} {}{shapes}", table(put), row(&put["Item"])),
        owner: owner(&put["Item"]),
        rows: vec![*place],
        items: items.clone(),
    })
    .collect()
}

/// The keys of each order.
fn look_ups(call: &Call) -> Vec<Statement> {
    let tables: Vec<_> = call.tables().into_iter().map(logical).collect();
    let asked = call.body["RequestItems"].as_object().into_iter().flatten();
    let projected = asked.map(|(_, it)| it["ProjectionExpression"].as_str().unwrap_or("all"));
    let projected: Vec<_> = projected.collect();
    let mut orders: BTreeMap<String, (BTreeSet<&str>, Vec<usize>)> = BTreeMap::new();
    for (place, key) in call.parts().into_iter().enumerate() {
        let (stages, places) = orders.entry(owner(key)).or_default();
        stages.extend(key["stage"]["S"].as_str());
        places.push(place);
    }
    let look_up = |(owner, (stages, rows)): (String, (BTreeSet<&str>, Vec<usize>))| {
        let stages: Vec<_> = stages.into_iter().collect();
        let (tables, stages) = (tables.join(" "), stages.join(" "));
        let name = format!("BatchGetItem {tables} [{stages}] {}", projected.join(" "));
        Statement { name, owner, rows, items: Vec::new() }
    };
    orders.into_iter().map(look_up).collect()
}

fn single(call: &Call) -> Statement {
    let body = &call.body;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let values = &body["ExpressionAttributeValues"];
    let value = |name: &str| values[name]["S"].as_str();
    let owner = value(":orderId").or_else(|| value(":customerId")).unwrap_or_default();
    let after = if body["ExclusiveStartKey"].is_null() { "" } else { " after a key" };
    let (index, condition) = (text("IndexName"), text("KeyConditionExpression"));
    Statement {
        name: format!("{} {} {index} {condition}{after}", call.operation, table(body)),
        owner: owner.to_owned(),
        rows: vec![0],
        items: Vec::new(),
    }
}

/// The stage of a row, and its attributes but for those that every row has.
fn row(item: &Value) -> String {
    const ALWAYS: [&str; 4] = ["orderId", "stage", "digest", "expiresAt"];
    let names = item.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let names: BTreeSet<_> = names.filter(|name| !ALWAYS.contains(name)).collect();
    let names: Vec<_> = names.into_iter().collect();
    format!("{} ({})", item["stage"]["S"].as_str().unwrap_or_default(), names.join(" "))
}

fn owner(item: &Value) -> String {
    item["orderId"]["S"].as_str().unwrap_or_default().to_owned()
}

fn table(request: &Value) -> &str {
    logical(request["TableName"].as_str().unwrap_or_default())
}

/// A table's name without its prefix.
fn logical(name: &str) -> &str {
    name.rsplit('-').next().unwrap_or(name)
}
