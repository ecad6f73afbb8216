//! The order API: accepts orders over HTTP, responds with their status, and closes them.
//!
//! One function, three kinds of events: HTTP requests, batches of Kafka records, and a schedule,
//! which recovers the orders that have not ended.

mod routes;

mod accept;
mod cancel;
mod list;
mod status;

mod caller;
mod cors;
mod etag;
mod page_token;
mod wait;

mod headers;
mod problem;
mod request;
mod response;

mod close;
mod orders;
mod progress;

mod open_orders;
mod recover;
mod recovery_check;
mod recovery_settings;
mod schedule;

use contracts::{EventType, StageName};
use runtime::{Environment, FunctionSpec, Settings, TableUse};

pub use crate::{
    accept::{PUBLISH_TIMEOUT, STORE_TIMEOUT},
    caller::CustomerClaim,
    close::Close,
    cors::Cors,
    recovery_settings::RecoverySettings,
    request::Request,
    routes::{OrderApi, READ_TIMEOUT},
    schedule::Scheduled,
    wait::{MAX_WAIT, MAX_WAITS, RESPONSE_TIMEOUT, Waits},
};

/// The stages, tables and settings that `template.yaml` must declare.
pub const SPEC: FunctionSpec = FunctionSpec {
    name: "order-api",
    stages: &[StageName::OrderApi, StageName::Close],
    republishes: EventType::ALL,
    tables: &[TableUse {
        variable: "ORDERS_TABLE",
        actions: &[
            "dynamodb:BatchGetItem",
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
    /// The claim of a token that names the customer.
    pub customer_claim: CustomerClaim,
    /// The origins of pages that may call the API.
    pub cors: Cors,
    /// The waits for an order's end.
    pub waits: Waits,
    /// The recovery of orders that have not ended.
    pub recovery: RecoverySettings,
}

/// Reads the settings: those of every function, and those of the HTTP API.
pub fn read_settings(environment: &mut Environment) -> (Settings, ApiSettings) {
    let settings = Settings::read(environment);
    let customer_claim = CustomerClaim::read(environment);
    let waits = Waits::read(environment);
    let origins =
        environment.optional_list("CORS_ALLOWED_ORIGINS", "https://shop.example", cors::is_origin);
    let recovery = RecoverySettings::read(environment, settings.row_ttl);
    (settings, ApiSettings { customer_claim, cors: Cors { origins }, waits, recovery })
}
