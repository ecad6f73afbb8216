//! The payment: `InventoryReserved` in, `PaymentCompleted` or `OrderPaymentFailed` out.

mod charge;
mod settings;
mod stripe;
mod wallet;

use contracts::StageName;
use runtime::{Environment, FunctionSpec, Settings, TableUse, spec::ORDERS};

pub use crate::{
    charge::{Charge, Provider},
    settings::ProviderSettings,
    stripe::REQUEST_TIMEOUT,
    wallet::Wallet,
};

/// The stages, tables and settings that `template.yaml` must declare.
pub const SPEC: FunctionSpec = FunctionSpec {
    name: "payment",
    stages: &[StageName::Payment],
    republishes: &[],
    tables: &[ORDERS, TableUse { variable: "ACCOUNTS_TABLE", actions: &["dynamodb:UpdateItem"] }],
    read_settings: |environment| drop(read_settings(environment)),
};

/// Reads the settings: those of every function, and those of the provider.
pub fn read_settings(environment: &mut Environment) -> (Settings, ProviderSettings) {
    (Settings::read(environment), ProviderSettings::read(environment))
}
