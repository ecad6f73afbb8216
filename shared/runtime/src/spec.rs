//! A function as a value: what `template.yaml` must declare for it.

use contracts::{EventType, StageName};

use crate::Environment;

/// A function as a value: what `template.yaml` must declare for it.
#[derive(Debug, Clone, Copy)]
pub struct FunctionSpec {
    /// The name of its package, folder and binary.
    pub name: &'static str,
    /// The stages that it runs.
    pub stages: &'static [StageName],
    /// The events that it publishes for other stages.
    pub republishes: &'static [EventType],
    /// The tables that it uses.
    pub tables: &'static [TableUse],
    /// Reads its settings, which tells the environment the variables that it knows.
    pub read_settings: fn(&mut Environment),
}

/// The use of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableUse {
    /// The environment variable that holds the table's name.
    pub variable: &'static str,
    /// The actions on the table; `Query` is on its indexes too.
    pub actions: &'static [&'static str],
}

/// The orders table, as every stage uses it: a row is put in a transaction where it has effects or
/// replaces one that has expired.
pub const ORDERS: TableUse = TableUse {
    variable: "ORDERS_TABLE",
    actions: &["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PutItem"],
};
