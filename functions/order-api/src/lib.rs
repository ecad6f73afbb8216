//! The order API: accepts orders over HTTP, responds with their status, and closes them.
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
mod orders;

use contracts::StageName;
use runtime::{Environment, FunctionSpec, Settings, TableUse};

pub use crate::{
    accept::{PUBLISH_TIMEOUT, STORE_TIMEOUT},
    close::Close,
    cors::Cors,
    request::Request,
    routes::{OrderApi, READ_TIMEOUT},
    wait::MAX_WAIT,
};

/// The function as a value.
pub const SPEC: FunctionSpec = FunctionSpec {
    name: "order-api",
    stages: &[StageName::OrderApi, StageName::Close],
    tables: &[TableUse {
        variable: "ORDERS_TABLE",
        actions: &[
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:PartiQLInsert",
            "dynamodb:PutItem",
            "dynamodb:Query",
        ],
    }],
    read_settings: |environment| drop(read_settings(environment)),
};

/// Settings of the HTTP API.
#[derive(Debug)]
pub struct ApiSettings {
    /// The claim of a token that names the customer; without one, any caller sees all orders.
    pub customer_claim: Option<String>,
    /// The origins of pages that may call the API.
    pub cors: Cors,
}

/// Reads the settings: those of every function, and those of the HTTP API.
pub fn read_settings(environment: &mut Environment) -> (Settings, ApiSettings) {
    let settings = Settings::read(environment);
    let customer_claim = environment.optional_text("CUSTOMER_CLAIM");
    let origins =
        environment.optional_list("CORS_ALLOWED_ORIGINS", "https://shop.example", cors::is_origin);
    (settings, ApiSettings { customer_claim, cors: Cors { origins } })
}
