//! The payment: `InventoryReserved` in, `PaymentCompleted` or `OrderPaymentFailed` out.

mod charge;
mod wallet;

use std::env;

use function::{Environment, Settings};
use jiff::Timestamp;
use lambda_runtime::Error;
use stage::Engine;

use crate::{charge::Charge, wallet::Wallet};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let wallet = Wallet { accounts_table: environment.text("ACCOUNTS_TABLE", "AccountsTable") };
    environment.check(())?;
    let clients = function::connect(&settings, Timestamp::now).await?;
    function::run(Engine::new(clients).with(Charge { wallet })).await
}
