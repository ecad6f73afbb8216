//! The validator: `OrderCreated` in, `OrderValidated` or `OrderValidationFailed` out.

mod validate;

use std::env;

use function::{Environment, Settings};
use jiff::Timestamp;
use lambda_runtime::Error;
use stage::Engine;

use crate::validate::Validate;

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let currency_decimals = environment.whole_number("CURRENCY_DECIMALS", "2", 0..=4);
    environment.check(())?;
    let clients = function::connect(&settings, Timestamp::now).await?;
    function::run(Engine::new(clients).with(Validate { currency_decimals })).await
}
