//! The stages, tables and settings of a function, as `template.yaml` must declare them.

use contracts::{EventType, StageName};

use crate::Environment;

/// The stages, tables and settings of a function, as `template.yaml` must declare them.
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
    /// Reads the settings; the environment then has the names of the variables.
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

/// The orders table, as every stage uses it. `PutItem` is for transactions: rows with effects, and
/// rows that replace an expired one.
pub const ORDERS: TableUse = TableUse {
    variable: "ORDERS_TABLE",
    actions: &["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PutItem"],
};
