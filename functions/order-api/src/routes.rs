//! Which request gets which answer.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use engine::{Context, Engine};
use uuid::Uuid;

use crate::{
    answer::Answer,
    caller::{Caller, CustomerClaim},
    cors::Cors,
    problem::{method_not_allowed, problem},
    recovery_settings::RecoverySettings,
    request::Request,
    wait::Waits,
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
    /// The claim of a token that names the customer.
    pub customer_claim: CustomerClaim,
    /// Cross-origin requests.
    pub cors: Cors,
    /// The waits for an order's end.
    pub waits: Waits,
    /// When orders that have not ended are looked at.
    pub recovery: RecoverySettings,
}

impl OrderApi {
    /// Answers a request.
    pub async fn answer(&self, request: &Request) -> ApiGatewayV2httpResponse {
        let answer = match self.cors.preflight(request) {
            Ok(Some(answer)) | Err(answer) => answer,
            Ok(None) => self.route(request).await.unwrap_or_else(|refusal| refusal),
        };
        self.cors.allow(request, answer).into_response()
    }

    async fn route(&self, request: &Request) -> Result<Answer, Answer> {
        let path = request.path();
        let allowed = match path.as_slice() {
            ["orders"] => "GET, HEAD, OPTIONS, POST",
            ["orders", _] => "GET, HEAD, OPTIONS",
            ["orders", _, "cancel"] => "OPTIONS, POST",
            _ => return Err(problem(404, NOTHING_HERE)),
        };
        // Says nothing of orders, and so asks nobody for a token.
        if request.method() == "OPTIONS" {
            return Ok(Answer::empty(204).with("allow", allowed));
        }
        let caller = Caller::of(request, &self.customer_claim)?;
        match (request.method(), path.as_slice()) {
            ("POST", ["orders"]) => self.accept(request, caller).await,
            ("GET", ["orders"]) => self.list(request, caller).await,
            ("GET", ["orders", order_id]) => self.status(request, caller, order_id).await,
            ("POST", ["orders", order_id, "cancel"]) => self.cancel(caller, order_id).await,
            _ => Err(method_not_allowed(allowed)),
        }
    }
}
