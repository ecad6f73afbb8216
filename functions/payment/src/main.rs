//! The payment: `InventoryReserved` in, `PaymentCompleted` or `OrderPaymentFailed` out.

mod charge;
mod settings;
mod stripe;
mod wallet;

use std::env;

use function::{Environment, Settings};
use jiff::Timestamp;
use lambda_runtime::Error;
use stage::Engine;

use crate::{charge::Charge, settings::ProviderSettings};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let provider = ProviderSettings::read(&mut environment);
    environment.check(())?;
    let provider = provider.connect(Timestamp::now).await?;
    let clients = function::connect(&settings, Timestamp::now).await?;
    function::run(Engine::new(clients).with(Charge { provider })).await
}
