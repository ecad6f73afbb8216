//! The inventory: reserves the stock of an order, and gives it back when its payment fails.

mod release;
mod reserve;
mod stock;

use std::env;

use function::{Environment, Settings};
use jiff::Timestamp;
use lambda_runtime::Error;
use stage::Engine;

use crate::{release::Release, reserve::Reserve, stock::StockTable};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let stock = StockTable(environment.text("STOCK_TABLE", "StockTable"));
    environment.check(())?;
    let clients = function::connect(&settings, Timestamp::now).await?;
    let release = Release { stock: stock.clone(), orders: clients.store.clone() };
    let engine = Engine::new(clients).with(Reserve { stock }).with(release);
    function::run(engine).await
}
