//! Authorization by token: a caller reads and posts their own orders only.

use serde_json::{Value, json};
use workflow_tests::world::World;

use crate::{
    event_files::{event_files, invoke},
    world_with,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_a_token_has_their_own_orders_only() {
    let world = world_with(&[("CUSTOMER_CLAIM", "sub")]).await;
    let own = Caller { world: &world, customer_id: Some("cust-1") };
    let other = Caller { world: &world, customer_id: Some("cust-2") };
    let order = json!({ "customerId": "cust-1", "nobody": "knows" });

    let (status, accepted) = own.post(&order, "a-key").await;
    assert_eq!(status, 202, "{accepted}");
    let order_id = accepted["orderId"].as_str().unwrap();
    assert_eq!(own.get(&format!("/orders/{order_id}"), "").await.0, 200);
    let (status, listed) = own.get("/orders", "customerId=cust-1").await;
    assert_eq!(status, 200);
    assert_eq!(listed["orders"][0]["orderId"], order_id);

    // Another customer's order gets the response of an unknown one.
    let (status, hidden) = other.get(&format!("/orders/{order_id}"), "").await;
    assert_eq!(status, 404);
    assert_eq!(hidden, other.get("/orders/ord-unknown", "").await.1);
    assert_eq!(other.get("/orders", "customerId=cust-1").await.0, 403);
    assert_eq!(other.post(&order, "b-key").await.0, 403);
    assert_eq!(other.post(&json!({ "no": "customer" }), "b-key").await.0, 403);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_of_two_callers_is_two_orders() {
    let world = world_with(&[("CUSTOMER_CLAIM", "sub")]).await;
    let mut order_ids = Vec::new();
    for customer_id in ["cust-1", "cust-2"] {
        let caller = Caller { world: &world, customer_id: Some(customer_id) };
        let order = json!({ "customerId": customer_id });
        let (status, accepted) = caller.post(&order, "the-same-key").await;
        assert_eq!(status, 202, "{accepted}");
        assert_eq!(caller.post(&order, "the-same-key").await, (status, accepted.clone()));
        order_ids.push(accepted["orderId"].clone());
    }
    assert_ne!(order_ids[0], order_ids[1]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_the_claim_is_refused() {
    let world = world_with(&[("CUSTOMER_CLAIM", "sub")]).await;
    let nobody = Caller { world: &world, customer_id: None };
    let (status, problem) = nobody.get("/orders", "customerId=cust-1").await;
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("claim sub"), "{problem}");
    assert_eq!(nobody.post(&json!({ "customerId": "cust-1" }), "a-key").await.0, 403);
    // The HTTP server of the local run forwards no token.
    let response = world.request("GET", "/orders?customerId=cust-1", &[], String::new()).await;
    assert_eq!(response.status().as_u16(), 403);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_accepted_until_the_claim_is_named() {
    let world = world_with(&[]).await;
    let own = Caller { world: &world, customer_id: Some("cust-1") };
    for (status, problem) in [
        own.post(&json!({ "customerId": "cust-2" }), "a-key").await,
        own.get("/orders", "customerId=cust-2").await,
    ] {
        assert_eq!(status, 500, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("CUSTOMER_CLAIM is not set"), "{detail}");
    }
    // Requests without a token are the local run's: no restriction.
    let response = world.request("GET", "/orders?customerId=cust-1", &[], String::new()).await;
    assert_eq!(response.status().as_u16(), 200);
    world.stop().await;

    let world = world_with(&[("CUSTOMER_CLAIM", "none")]).await;
    let trusted = Caller { world: &world, customer_id: Some("cust-1") };
    assert_eq!(trusted.get("/orders", "customerId=cust-2").await.0, 200);
    world.stop().await;
}

/// A client whose token API Gateway has verified: the claims are in the event.
struct Caller<'a> {
    world: &'a World,
    customer_id: Option<&'a str>,
}

impl Caller<'_> {
    async fn post(&self, order: &Value, key: &str) -> (u16, Value) {
        let mut event = self.event("post-order-with-token");
        event["headers"]["idempotency-key"] = key.into();
        event["body"] = order.to_string().into();
        self.invoke(&event).await
    }

    async fn get(&self, path: &str, query: &str) -> (u16, Value) {
        let mut event = self.event("get-order");
        event["rawPath"] = path.into();
        event["rawQueryString"] = query.into();
        self.invoke(&event).await
    }

    fn event(&self, situation: &str) -> Value {
        let files = event_files();
        let mut event = files[&("order-api".to_owned(), situation.to_owned())].clone();
        let claims = match self.customer_id {
            Some(customer_id) => json!({ "sub": customer_id }),
            None => json!({ "scope": "orders" }),
        };
        event["requestContext"]["authorizer"] = json!({ "jwt": { "claims": claims } });
        event
    }

    async fn invoke(&self, event: &Value) -> (u16, Value) {
        let response = invoke(self.world, "order-api", event).await;
        let body = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        (response["statusCode"].as_u64().unwrap().try_into().unwrap(), body)
    }
}
