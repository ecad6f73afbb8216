//! A customer who has the id of another's order, and everything else that an attacker may know.

use engine::{Row, RowBody};
use serde_json::Value;
use workflow_tests::{
    api::{Api, Response},
    stages::{Record, Stages},
};

use crate::{MALLORY, VICTIM, order, stages};

/// The order's next stored event, to every function that it triggers.
async fn step(stages: &Stages, order_id: &str) {
    let rows = stages.rows(order_id).await;
    let events = rows.values().rev().find_map(|row| match &row.body {
        RowBody::Event(event) => Some(event.clone()),
        RowBody::Data(_) => None,
    });
    let event = events.expect("an event");
    stages.deliver(event.event_type.topic(), &[Record::of(event.body)], 1).await;
}

/// Every request of an attacker about an order.
async fn attacks(api: &Api, order_id: &str, etag: &str) -> Vec<Response> {
    let target = format!("/orders/{order_id}");
    let encoded: String = order_id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut responses = Vec::new();
    for (method, target, header) in [
        ("GET", target.clone(), ("accept", "*/*")),
        ("GET", target.clone(), ("if-none-match", etag)),
        ("GET", target.clone(), ("prefer", "wait=5")),
        ("GET", format!("/orders/{encoded}"), ("accept", "*/*")),
        ("HEAD", target.clone(), ("accept", "*/*")),
        ("POST", format!("{target}/cancel"), ("accept", "*/*")),
        ("POST", format!("/orders/{encoded}/cancel"), ("accept", "*/*")),
    ] {
        responses.push(api.send(MALLORY, (method, &target), &[header], "").await);
    }
    responses
}

#[tokio::test]
async fn another_customers_order_is_an_unknown_one_for_every_request_in_every_state() {
    let stages = stages().await;
    let api = Api::of(&stages);
    let mut states = 0;
    for is_cancelled in [false, true] {
        states += attack_in_every_state(&stages, &api, is_cancelled).await;
    }
    // A cancelled order is released and closed by one event.
    assert_eq!(states, 6 + 5);
}

/// Attacks an order that completes, or one that its customer cancels before the payment, in each of
/// its states; returns their number.
async fn attack_in_every_state(stages: &Stages, api: &Api, is_cancelled: bool) -> usize {
    let order_id = api.accepted(VICTIM, &order(VICTIM)).await;
    let mut states = 0;
    loop {
        let before = stages.rows(&order_id).await;
        let own = api.send(VICTIM, ("GET", &format!("/orders/{order_id}")), &[], "").await;
        assert_eq!(own.status, 200);
        let etag = own.headers["etag"].as_str().unwrap_or("*");
        let known = attacks(api, &order_id, etag).await;
        assert_eq!(known, attacks(api, "ord-unknown", etag).await);
        for response in &known {
            assert_eq!(response.status, 404, "{response:?}");
        }
        assert_eq!(stages.rows(&order_id).await, before, "an attack has changed the order");
        states += 1;
        if before.len() == 6 {
            return states;
        }
        if is_cancelled && before.len() == 3 {
            let target = format!("/orders/{order_id}/cancel");
            assert_eq!(api.send(VICTIM, ("POST", &target), &[], "").await.status, 202);
        } else {
            step(stages, &order_id).await;
        }
    }
}

#[tokio::test]
async fn another_customers_list_is_refused_however_it_is_spelled() {
    let stages = stages().await;
    let api = Api::of(&stages);
    for _ in 0..2 {
        api.accepted(VICTIM, &order(VICTIM)).await;
    }
    for query in [
        "customerId=victim",
        "customerId=%76ictim",
        "customerId=victim&limit=100",
        "customerId=mallory&customerId=victim",
        "customerId=victim&customerId=mallory",
        "customerId=Victim",
        "customerId=victim%00",
        "customerId=victim%20",
        "customerId=",
        "customerId=*",
        "",
    ] {
        let response = api.send(MALLORY, ("GET", &format!("/orders?{query}")), &[], "").await;
        assert!([400, 403].contains(&response.status), "{query}: {response:?}");
        assert_eq!(response.body.get("orders"), None, "{query}");
    }
}

#[tokio::test]
async fn the_idempotency_key_of_another_customer_reveals_and_changes_nothing() {
    let stages = stages().await;
    let api = Api::of(&stages);
    let post = async |customer_id: &str, body: &Value| {
        let key = [("idempotency-key", "the-same-key")];
        api.send(customer_id, ("POST", "/orders"), &key, &body.to_string()).await
    };
    let victims = post(VICTIM, &order(VICTIM)).await;
    let order_id = victims.body["orderId"].as_str().unwrap();
    let before = rows(&stages, order_id).await;
    // The victim's own body: the caller must be its customer.
    assert_eq!(post(MALLORY, &order(VICTIM)).await.status, 403);
    let own = post(MALLORY, &order(MALLORY)).await;
    assert_eq!(own.status, 202);
    assert_ne!(own.body["orderId"], victims.body["orderId"]);
    // A claim that spells the victim's scope and key is another customer, too.
    let scoped = format!("{VICTIM}\0");
    assert_ne!(
        post(&scoped, &order(&scoped)).await.body.get("orderId"),
        victims.body.get("orderId")
    );
    assert_eq!(rows(&stages, order_id).await, before);
    assert_eq!(post(VICTIM, &order(VICTIM)).await, victims);
}

async fn rows(stages: &Stages, order_id: &str) -> Vec<Row> {
    stages.rows(order_id).await.into_values().collect()
}
