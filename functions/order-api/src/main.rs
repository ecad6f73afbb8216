//! Wires the order API: settings, clients, HTTP API and stage.

use std::env;

use engine::{Engine, lambda_event::KafkaEvent};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use order_api::{Close, OrderApi, PUBLISH_TIMEOUT, Request, Scheduled};
use runtime::{Environment, Traces};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main provides the clock and the ids")]
async fn main() -> Result<(), Error> {
    runtime::log_as_json(env!("CARGO_CRATE_NAME"));
    let mut environment = Environment::new(env::vars());
    let (settings, api) = order_api::read_settings(&mut environment);
    environment.finish(())?;
    let context = runtime::connect_with(&settings, Timestamp::now, PUBLISH_TIMEOUT).await?;
    let traces = &Traces::start(&settings)?;
    let engine = Engine::new(context.clone()).with(Close).traced_by(traces.tracer());
    context.warm_up(&[contracts::Topic::OrderCreated]).await;
    let api = &OrderApi {
        engine,
        context,
        new_id: Uuid::now_v7,
        customer_claim: api.customer_claim,
        cors: api.cors,
        waits: api.waits,
        recovery: api.recovery,
    };
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Box<RawValue>>| {
        // Batches first: they are large and frequent, and each attempt parses the whole event.
        let json = event.payload.get();
        let not_kafka = match KafkaEvent::read(&mut serde_json::Deserializer::from_str(json)) {
            Ok(batch) => {
                let response =
                    runtime::handle_batch(&api.engine, traces, Ok(batch), &event.context).await?;
                return Ok(to_raw_value(&response)?);
            }
            Err(error) => error,
        };
        if let Some(request) = Request::read(&event.payload) {
            let response = api.answer(&request?).await;
            runtime::finish(traces, &event.context).await;
            return Ok(to_raw_value(&response)?);
        }
        if let Some(scheduled) = Scheduled::read(&event.payload) {
            let recovered = api.recover(scheduled?, runtime::deadline(&event.context)).await;
            runtime::finish(traces, &event.context).await;
            return Ok(to_raw_value(&recovered?)?);
        }
        Err::<_, Error>(not_kafka.into())
    }))
    .await
}
