//! The HTTP API in this process, beside the stages.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::Engine;
use order_api::{Cors, CustomerClaim, OrderApi, RecoverySettings, Request, Waits};
use serde_json::{Map, Value, json, value::RawValue};
use uuid::Uuid;

use crate::stages::Stages;

/// The HTTP API, for callers whose token names their customer in the claim `sub`.
pub struct Api {
    pub api: OrderApi,
}

/// A response of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u64,
    pub headers: Value,
    /// `null` for an empty body.
    pub body: Value,
}

impl Api {
    /// The API on the tables and topics of these stages.
    #[must_use]
    pub fn of(stages: &Stages) -> Self {
        Self::with_recovery(stages, RecoverySettings::default())
    }

    /// The same with these settings of the recovery.
    #[must_use]
    pub fn with_recovery(stages: &Stages, recovery: RecoverySettings) -> Self {
        let api = OrderApi {
            engine: Engine::new(stages.context.clone()),
            context: stages.context.clone(),
            new_id,
            customer_claim: CustomerClaim::Named("sub".to_owned()),
            cors: Cors { origins: vec!["https://shop.example".to_owned()] },
            // A wait would end no sooner.
            waits: Waits::new(0),
            recovery,
        };
        Self { api }
    }

    /// Answers an event of API Gateway, as from this customer; `None` unless it is a request.
    pub async fn respond(&self, mut event: Value, customer_id: &str) -> Option<Value> {
        let context = event.get_mut("requestContext")?.as_object_mut()?;
        let claims = json!({ "jwt": { "claims": { "sub": customer_id } } });
        context.insert("authorizer".to_owned(), claims);
        let event = RawValue::from_string(event.to_string()).ok()?;
        let request = Request::read(&event)?.ok()?;
        serde_json::to_value(self.api.answer(&request).await).ok()
    }

    /// Sends a request as this customer. The target is a path as API Gateway decodes it, and a query.
    pub async fn send(
        &self,
        customer_id: &str,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: Map<_, _> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let event = json!({
            "rawPath": path, "rawQueryString": query, "headers": headers, "body": body,
            "requestContext": { "http": { "method": method } },
        });
        let response = self.respond(event, customer_id).await.expect("a request");
        let body = response["body"].as_str().filter(|body| !body.is_empty());
        Response {
            status: response["statusCode"].as_u64().expect("a status"),
            headers: response["headers"].clone(),
            body: body.map_or(Value::Null, |body| serde_json::from_str(body).expect("JSON")),
        }
    }

    /// Posts an order that must be accepted; returns its id.
    pub async fn accepted(&self, customer_id: &str, order: &Value) -> String {
        let response = self.send(customer_id, ("POST", "/orders"), &[], &order.to_string()).await;
        assert_eq!(response.status, 202, "{response:?}");
        response.body["orderId"].as_str().expect("an order id").to_owned()
    }
}

/// Ids that are the same in each run.
fn new_id() -> Uuid {
    static IDS: AtomicU64 = AtomicU64::new(0);
    Uuid::from_u64_pair(0, IDS.fetch_add(1, Ordering::Relaxed))
}
