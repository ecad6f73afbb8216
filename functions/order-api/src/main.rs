//! The order API: takes orders in over HTTP, answers for their status, and closes them.
//!
//! One function, two kinds of events: HTTP requests and batches of Kafka records.

mod routes;

mod accept;
mod list;
mod status;

mod caller;
mod conditional;
mod cors;
mod page_token;
mod wait;

mod answer;
mod problem;
mod request;

mod close;

use std::env;

use contracts::Topic;
use function::{Environment, Settings};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::{RawValue, to_raw_value};
use stage::Engine;
use uuid::Uuid;

use crate::{
    accept::PUBLISH_TIMEOUT,
    close::Close,
    cors::{Cors, is_origin},
    request::Request,
    routes::OrderApi,
};

#[tokio::main]
#[expect(
    clippy::disallowed_methods,
    reason = "here the function learns what tells the time and makes ids"
)]
async fn main() -> Result<(), Error> {
    function::log_as_json();
    let mut environment = Environment::new(env::vars());
    let settings = Settings::read(&mut environment);
    let customer_claim = environment.optional_text("CUSTOMER_CLAIM");
    let origins =
        environment.optional_list("CORS_ALLOWED_ORIGINS", "https://shop.example", is_origin);
    environment.check(())?;
    let clients = function::connect_with(&settings, Timestamp::now, PUBLISH_TIMEOUT).await?;
    clients.warm_up(&[Topic::OrderCreated]).await;
    let engine = &Engine::new(clients.clone()).with(Close { orders: clients.store.clone() });
    let api = &OrderApi { clients, new_id: Uuid::now_v7, customer_claim, cors: Cors { origins } };
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Box<RawValue>>| {
        let answer = match Request::read(&event.payload) {
            Some(request) => to_raw_value(&api.answer(&request?).await)?,
            None => to_raw_value(&function::handle_batch(engine, &event).await?)?,
        };
        Ok::<_, Error>(answer)
    }))
    .await
}
