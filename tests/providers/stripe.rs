//! Charges at Stripe: one for each order, whichever responses are lost.

use std::collections::BTreeMap;

use contracts::Money;
use faults::lossy_proxy::LossyProxy;
use serde_json::{Value, json};
use workflow_tests::world::{World, WorldOptions};

use crate::{accepted, order, server, until};

const KEY: &str = "sk_test_12345";

const ORDERS_OF_A_CUSTOMER: usize = 20;

// Stripe's names of test cards.
pub(crate) const GOOD_CARD: &str = "pm_card_visa";
const DECLINED_CARD: &str = "pm_card_chargeCustomerFail";

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_charged_once_though_answers_are_lost() {
    each_of_these_is_charged_once("STRIPE_URL", 1_000).await;
}

/// Stripe forgets a key after a day; then only the customer's payments show the charge.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_charge_is_found_though_its_key_was_forgotten() {
    each_of_these_is_charged_once("STRIPE_WITHOUT_KEYS_URL", 100).await;
}

/// Charges so many orders at this server, and loses every tenth response.
async fn each_of_these_is_charged_once(server: &str, number_of_orders: usize) {
    let (stripe, world) = world(server, 10).await;
    // Few payments for each customer: localstripe takes seconds to search hundreds.
    let mut customers = Vec::new();
    for _ in 0..number_of_orders / ORDERS_OF_A_CUSTOMER {
        customers.push(stripe.customer(GOOD_CARD).await);
    }
    let orders = (1..=number_of_orders).map(|number| {
        let amount = format!("{}.{:02}", number % 90 + 1, number % 100);
        let mut order = order(&customers[number % customers.len()], &amount);
        if number % 5 == 0 {
            order["paymentMethodId"] = GOOD_CARD.into();
        }
        order
    });
    let (ids, expected) = charged_orders(&world, orders.collect()).await;
    let charged = stripe.amounts_by_order(&customers).await;
    let other: Vec<_> = charged.iter().filter(|&(id, it)| expected.get(id) != Some(it)).collect();
    assert!(other.is_empty(), "other amounts were charged: {other:?}");
    assert_eq!(charged.len(), expected.len());
    assert_eq!(stripe.list_of("charges", &customers).await.len(), ids.len());
    let lost = stripe.proxy.lost();
    assert!(lost >= ids.len() / 10, "{lost} responses were lost");
    println!("{} orders, {} charges, {lost} responses lost", ids.len(), charged.len());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_row_was_not_stored_is_not_made_again() {
    let (stripe, world) = world("STRIPE_URL", 10).await;
    let customer = stripe.customer(GOOD_CARD).await;
    for _ in 0..20 {
        world.database.throttle(&["\"S\":\"payment\""]);
    }
    let orders = (1..=100).map(|number| order(&customer, &format!("{number}.5")));
    let (_, expected) = charged_orders(&world, orders.collect()).await;
    assert_eq!(world.database.faults_left(), 0);
    assert_eq!(stripe.amounts_by_order(&[customer]).await, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_fails_its_order_with_the_code_and_gives_the_stock_back() {
    let (stripe, world) = world("STRIPE_URL", 0).await;
    let customer = stripe.customer(DECLINED_CARD).await;
    let without_card = stripe.created("customers", &[("name", "somebody")]).await;
    let mut odd = order(&customer, "5");
    odd["paymentMethodId"] = 7.into();
    for (order, reason) in [
        (order(&customer, "12.50"), "PAYMENT_DECLINED: card_declined: Your card was declined."),
        (
            order(without_card["id"].as_str().unwrap(), "5"),
            "PAYMENT_DECLINED: no_payment_method: the customer has no default payment method at \
             Stripe; set one, or name one in paymentMethodId",
        ),
        (odd, "PAYMENT_DECLINED: paymentMethodId must be the id of a payment method"),
    ] {
        let order_id = world.accepted(&order).await;
        let status = world.ended(&order_id).await;
        assert_eq!(status["failedStage"], "payment");
        assert_eq!(status["failureReason"], reason);
    }
    let released = || {
        let outcomes = world.stack.functions.as_ref().unwrap().outcomes().snapshot();
        outcomes.get(&("release".to_owned(), "accepted".to_owned())).copied() == Some(3)
    };
    until("the stock of all three is released", released).await;
    assert_eq!(world.available_and_reserved("SKU-1").await, ("5000".to_owned(), "0".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_holds_orders_up_and_fails_none() {
    let proxy = LossyProxy::start(&server("STRIPE_URL"), 0).await.unwrap();
    let world =
        started(&proxy, &[("STRIPE_API_KEY", "rk_not_one_of_ours")], WorldOptions::default()).await;
    let stripe = Stripe { url: server("STRIPE_URL"), http: workflow_tests::http_client(), proxy };
    let customer = stripe.customer(GOOD_CARD).await;
    let order_id = world.accepted(&order(&customer, "12.50")).await;
    until("the charge is retried", || stripe.proxy.responses(401) >= 3).await;
    assert_eq!(world.status(&order_id).await.unwrap()["status"], "PENDING");
    stripe.proxy.show_key(KEY).unwrap();
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_read_from_secrets_manager() {
    let moto = server("MOTO_URL");
    let secret = json!({ "Name": "stripe-api-key", "SecretString": KEY, "ClientRequestToken": "c".repeat(32) });
    let created = workflow_tests::http_client()
        .post(&moto)
        .header("x-amz-target", "secretsmanager.CreateSecret")
        .header("content-type", "application/x-amz-json-1.1")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/secretsmanager/aws4_request",
        )
        .body(secret.to_string());
    assert_eq!(created.send().await.unwrap().status(), 200);
    let proxy = LossyProxy::start(&server("STRIPE_URL"), 0).await.unwrap();
    let from_secret = [
        ("STRIPE_API_KEY_SECRET", "stripe-api-key"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto.as_str()),
    ];
    let world = started(&proxy, &from_secret, WorldOptions::default()).await;
    let stripe = Stripe { url: server("STRIPE_URL"), http: workflow_tests::http_client(), proxy };
    let customer = stripe.customer(GOOD_CARD).await;
    let order_id = world.accepted(&order(&customer, "12.50")).await;
    assert_eq!(world.ended(&order_id).await["status"], "COMPLETED");
    assert!(stripe.proxy.responses(200) > 0);
    world.stop().await;
}

/// A workflow that charges at this server, through a proxy that loses one of so many responses.
pub(crate) async fn world(server_name: &str, loses_one_in: usize) -> (Stripe, World) {
    changed_world(server_name, loses_one_in, WorldOptions::default()).await
}

/// Like [`world`], with these options.
pub(crate) async fn changed_world(
    server_name: &str,
    loses_one_in: usize,
    options: WorldOptions<'_>,
) -> (Stripe, World) {
    let url = server(server_name);
    let proxy = LossyProxy::start(&url, loses_one_in).await.unwrap();
    let world = started(&proxy, &[("STRIPE_API_KEY", KEY)], options).await;
    (Stripe { url, http: workflow_tests::http_client(), proxy }, world)
}

async fn started(proxy: &LossyProxy, key: &[(&str, &str)], options: WorldOptions<'_>) -> World {
    let mut function_env = vec![
        ("PAYMENT_PROVIDER", "stripe"),
        ("CURRENCY", "EUR"),
        ("STRIPE_API_BASE", proxy.url.as_str()),
    ];
    function_env.extend(key);
    let world = World::start_as(&WorldOptions { function_env: &function_env, ..options }).await;
    world.stock("SKU-1", 5_000).await;
    world
}

/// Posts orders and waits until each is complete; returns their ids and expected charges.
async fn charged_orders(
    world: &World,
    orders: Vec<Value>,
) -> (Vec<String>, BTreeMap<String, Vec<u64>>) {
    let amounts: Vec<u64> = orders
        .iter()
        .map(|order| Money::from_text(&order["totalAmount"].to_string()))
        .map(|amount| amount.and_then(|amount| amount.in_units(2)).unwrap())
        .collect();
    let ids = accepted(world, orders.into_iter()).await;
    for id in &ids {
        let status = world.ended(id).await;
        assert_eq!(status["status"], "COMPLETED", "{status}");
    }
    let expected = ids.iter().cloned().zip(amounts.into_iter().map(|units| vec![units]));
    let expected = expected.collect();
    (ids, expected)
}

/// The local server of Stripe's API, called without the proxy.
pub(crate) struct Stripe {
    url: String,
    http: reqwest::Client,
    pub(crate) proxy: LossyProxy,
}

impl Stripe {
    /// Creates a customer who pays with this card.
    pub(crate) async fn customer(&self, card: &str) -> String {
        let method = self.get(&format!("payment_methods/{card}")).await;
        let method = method["id"].as_str().unwrap();
        let customer = self
            .created("customers", &[("invoice_settings[default_payment_method]", method)])
            .await;
        customer["id"].as_str().unwrap().to_owned()
    }

    async fn created(&self, kind: &str, fields: &[(&str, &str)]) -> Value {
        let url = format!("{}/v1/{kind}", self.url);
        let response = self.http.post(url).bearer_auth(KEY).form(fields).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/v1/{path}", self.url);
        let response = self.http.get(url).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// All objects of a kind.
    pub(crate) async fn list(&self, kind: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|last: &Value| last["id"].as_str().unwrap().to_owned());
            let after = after.map(|last| format!("&starting_after={last}")).unwrap_or_default();
            let page = self.get(&format!("{kind}?limit=100{after}")).await;
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return all;
            }
        }
    }

    /// All objects of a kind of these customers; other tests have their own.
    pub(crate) async fn list_of(&self, kind: &str, customers: &[String]) -> Vec<Value> {
        let mut all = self.list(kind).await;
        all.retain(|one| customers.iter().any(|customer| one["customer"] == customer.as_str()));
        all
    }

    /// The amounts charged for each order of these customers, in smallest units.
    pub(crate) async fn amounts_by_order(
        &self,
        customers: &[String],
    ) -> BTreeMap<String, Vec<u64>> {
        let mut amounts = BTreeMap::<_, Vec<_>>::new();
        for payment in self.list_of("payment_intents", customers).await {
            assert_eq!(payment["status"], "succeeded", "{payment}");
            assert_eq!(payment["currency"], "eur");
            let order_id = payment["metadata"]["orderId"].as_str().unwrap().to_owned();
            amounts.entry(order_id).or_default().push(payment["amount"].as_u64().unwrap());
        }
        amounts
    }
}
