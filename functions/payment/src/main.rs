//! The payment: `InventoryReserved` in, `PaymentCompleted` or `OrderPaymentFailed` out.

mod charge;
mod wallet;

use std::env;

use jiff::Timestamp;
use lambda_runtime::Error;
use stage::{Clients, Engine, Environment, Settings, function};

use crate::{charge::Charge, wallet::Wallet};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let wallet = Wallet { accounts_table: environment.text("ACCOUNTS_TABLE", "AccountsTable") };
    environment.check(())?;
    let clients = Clients::connect(&settings, Timestamp::now).await?;
    function::run(Engine::new(&clients).with(Charge { wallet })).await
}
