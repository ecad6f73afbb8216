//! Wires the payment: settings, provider, clients, stage.

use std::env;

use engine::Engine;
use jiff::Timestamp;
use lambda_runtime::Error;
use payment::Charge;
use runtime::{Environment, Traces};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main provides the clock")]
async fn main() -> Result<(), Error> {
    runtime::log_as_json(env!("CARGO_CRATE_NAME"));
    let mut environment = Environment::new(env::vars());
    let (settings, provider) = payment::read_settings(&mut environment);
    environment.finish(())?;
    let provider = provider.connect(Timestamp::now).await?;
    let context = runtime::connect(&settings, Timestamp::now).await?;
    let traces = Traces::start(&settings)?;
    runtime::run(Engine::new(context).with(Charge { provider }), traces).await
}
