//! Routes HTTP requests to their handlers.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use engine::{
    Context, Engine,
    failpoint::{Point, reach},
};
use uuid::Uuid;

use crate::{
    caller::{Caller, CustomerClaim},
    cors::Cors,
    problem::{method_not_allowed, problem},
    recovery_settings::RecoverySettings,
    request::Request,
    response::Response,
    wait::Waits,
};

/// The timeout for reading.
pub const READ_TIMEOUT: Duration = Duration::from_secs(4);

const NO_SUCH_PATH: &str =
    "no such path: use /orders, /orders/{orderId} or /orders/{orderId}/cancel";

/// The HTTP side of the function.
pub struct OrderApi {
    /// Stores and publishes accepted orders.
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
    /// The recovery of orders that have not ended.
    pub recovery: RecoverySettings,
}

impl OrderApi {
    /// Handles a request; every error is a response.
    pub async fn answer(&self, request: &Request) -> ApiGatewayV2httpResponse {
        let response = match self.cors.preflight(request) {
            Ok(Some(response)) | Err(response) => response,
            Ok(None) => self.route(request).await.unwrap_or_else(|error| error),
        };
        let response = self.cors.allow(request, response).into_api_gateway();
        reach(Point::BeforeResponse);
        response
    }

    async fn route(&self, request: &Request) -> Result<Response, Response> {
        let path = request.path();
        let allowed = match path.as_slice() {
            ["orders"] => "GET, HEAD, OPTIONS, POST",
            ["orders", _] => "GET, HEAD, OPTIONS",
            ["orders", _, "cancel"] => "OPTIONS, POST",
            _ => return Err(problem(404, NO_SUCH_PATH)),
        };
        // Reveals nothing about orders, so it needs no token.
        if request.method() == "OPTIONS" {
            return Ok(Response::empty(204).with("allow", allowed));
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
