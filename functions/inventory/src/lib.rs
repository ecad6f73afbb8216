//! The inventory: reserves the stock of an order, and releases it when its payment fails.

mod release;
mod reserve;
mod stock;

use contracts::StageName;
use runtime::{Environment, FunctionSpec, Settings, TableUse, spec::ORDERS};

pub use crate::{release::Release, reserve::Reserve, stock::StockTable};

/// The stages, tables and settings that `template.yaml` must declare.
pub const SPEC: FunctionSpec = FunctionSpec {
    name: "inventory",
    stages: &[StageName::Inventory, StageName::Release],
    republishes: &[],
    tables: &[ORDERS, TableUse { variable: "STOCK_TABLE", actions: &["dynamodb:UpdateItem"] }],
    read_settings: |environment| drop(read_settings(environment)),
};

/// Reads the settings: those of every function, and the stock table.
pub fn read_settings(environment: &mut Environment) -> (Settings, StockTable) {
    let settings = Settings::read(environment);
    (settings, StockTable(environment.required("STOCK_TABLE", "StockTable")))
}
