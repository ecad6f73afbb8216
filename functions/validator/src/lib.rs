//! The validator: `OrderCreated` in, `OrderValidated` or `OrderValidationFailed` out.

mod validate;

use contracts::StageName;
use runtime::{Environment, FunctionSpec, Settings, spec::ORDERS};

pub use crate::validate::Validate;

/// The stages, tables and settings that `template.yaml` must declare.
pub const SPEC: FunctionSpec = FunctionSpec {
    name: "validator",
    stages: &[StageName::Validator],
    republishes: &[],
    tables: &[ORDERS],
    read_settings: |environment| drop(read_settings(environment)),
};

/// Reads the settings: those of every function, and the decimals of the currency.
pub fn read_settings(environment: &mut Environment) -> (Settings, Validate) {
    let settings = Settings::read(environment);
    let currency_decimals = environment.whole_number("CURRENCY_DECIMALS", "2", 0..=4);
    (settings, Validate { currency_decimals })
}
