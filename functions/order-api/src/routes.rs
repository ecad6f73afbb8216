//! Which request gets which answer.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use engine::{Context, Engine};
use uuid::Uuid;

use crate::{
    answer::Answer,
    caller::Caller,
    cors::Cors,
    problem::{method_not_allowed, problem},
    recovery_settings::RecoverySettings,
    request::Request,
};

/// The limit for reading.
pub const READ_TIMEOUT: Duration = Duration::from_secs(4);

const NOTHING_HERE: &str =
    "there is nothing here: /orders and /orders/{orderId} and /orders/{orderId}/cancel are";

/// The HTTP side of the function.
pub struct OrderApi {
    /// Stores and publishes what is accepted.
    pub engine: Engine,
    /// The clients for reading.
    pub context: Context,
    /// Makes the ids of new orders and correlations.
    pub new_id: fn() -> Uuid,
    /// The claim of a token that names the customer; without one, any caller sees all orders.
    pub customer_claim: Option<String>,
    /// Cross-origin requests.
    pub cors: Cors,
    /// When orders that have not ended are looked at.
    pub recovery: RecoverySettings,
}

impl OrderApi {
    /// Answers a request.
    pub async fn answer(&self, request: &Request) -> ApiGatewayV2httpResponse {
        let answer = match self.cors.preflight(request) {
            Some(answer) => answer,
            None => self.route(request).await.unwrap_or_else(|refusal| refusal),
        };
        self.cors.allow(request, answer).into_response()
    }

    async fn route(&self, request: &Request) -> Result<Answer, Answer> {
        let caller = Caller::of(request, self.customer_claim.as_deref())?;
        match (request.method(), request.path().as_slice()) {
            ("POST", ["orders"]) => self.accept(request, caller).await,
            ("GET", ["orders"]) => self.list(request, caller).await,
            ("GET", ["orders", order_id]) => self.status(request, caller, order_id).await,
            ("POST", ["orders", order_id, "cancel"]) => self.cancel(caller, order_id).await,
            (_, ["orders"]) => Err(method_not_allowed("GET, POST")),
            (_, ["orders", _]) => Err(method_not_allowed("GET")),
            (_, ["orders", _, "cancel"]) => Err(method_not_allowed("POST")),
            _ => Err(problem(404, NOTHING_HERE)),
        }
    }
}
