//! The notification: `PaymentCompleted` in, `OrderCompleted` or `OrderNotificationFailed` out.

mod notify;
mod settings;
mod sns;

use std::env;

use function::{Environment, Settings};
use jiff::Timestamp;
use lambda_runtime::Error;
use stage::Engine;

use crate::{notify::Notify, settings::ChannelSettings};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "here the function learns what tells the time")]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let channel = ChannelSettings::read(&mut environment);
    environment.check(())?;
    let channel = channel.connect().await;
    let clients = function::connect(&settings, Timestamp::now).await?;
    function::run(Engine::new(clients).with(Notify { channel })).await
}
