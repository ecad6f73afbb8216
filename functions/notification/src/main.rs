//! The notification: `PaymentCompleted` in, `OrderCompleted` or `OrderNotificationFailed` out.

mod notify;

use std::env;

use jiff::Timestamp;
use lambda_runtime::Error;
use stage::{Clients, Engine, Environment, Settings, function};

use crate::notify::Notify;

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    environment.check(())?;
    let clients = Clients::connect(&settings, Timestamp::now).await?;
    function::run(Engine::new(&clients).with(Notify)).await
}
