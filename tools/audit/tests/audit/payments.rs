//! Payments at Stripe, compared with the rows: a server in the test speaks Stripe's lists.

use axum::{Json, Router, extract::Query, routing::get};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    program::{audit, item, text},
    rows::Sample,
    tables::Tables,
};

/// The objects of one page: fewer than there are, so that the second page is read.
const PAGE: usize = 2;

#[derive(Debug, Deserialize)]
struct Page {
    starting_after: Option<String>,
}

/// Serves these objects as one list of Stripe's API.
fn list(objects: Vec<Value>) -> axum::routing::MethodRouter {
    get(async move |Query(page): Query<Page>| {
        let after = page.starting_after;
        let at = after.and_then(|id| objects.iter().position(|it| it["id"] == id.as_str()));
        let from = at.map_or(0, |at| at + 1);
        let data: Vec<Value> = objects.iter().skip(from).take(PAGE).cloned().collect();
        let has_more = from + data.len() < objects.len();
        Json(json!({ "object": "list", "data": data, "has_more": has_more }))
    })
}

/// Starts Stripe's stand-in; returns its URL.
async fn stripe(payments: Vec<Value>, refunds: Vec<Value>) -> String {
    let router = Router::new()
        .route("/v1/payment_intents", list(payments))
        .route("/v1/refunds", list(refunds));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn payment(id: &str, order_id: Option<&str>, amount: u64, status: &str) -> Value {
    let metadata = order_id.map_or_else(|| json!({}), |it| json!({ "orderId": it }));
    let created = (Timestamp::now() - SignedDuration::from_hours(2)).as_second();
    json!({
        "id": id, "status": status, "amount": amount, "created": created, "metadata": metadata,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_without_rows_and_rows_without_payments_are_found_and_nothing_else() {
    let tables = Tables::start().await;
    let at = Timestamp::now() - SignedDuration::from_hours(2);
    let base = Sample { id: "", customer: "cus_1", sku: "SKU-1", amount: "12.50", at };
    let mut rows = Vec::new();
    for (id, payment) in [
        ("ord-good", "pi_good"),
        ("ord-twice", "pi_first"),
        ("ord-amount", "pi_amount"),
        ("ord-unpaid", "pi_unpaid"),
    ] {
        rows.extend(Sample { id, ..base }.completed(payment));
    }
    rows.extend(Sample { id: "ord-wallet", ..base }.completed("pay-ord-wallet"));
    for id in ["ord-refunded", "ord-kept", "ord-declined"] {
        rows.extend(Sample { id, ..base }.declined());
    }
    tables.database.insert(&rows).await;
    let number = |text: &str| aws_sdk_dynamodb::types::AttributeValue::N(text.to_owned());
    let stock =
        item([("sku", text("SKU-1")), ("available", number("0")), ("reserved", number("5"))]);
    tables.database.put("STOCK_TABLE", stock).await;

    let good = [
        payment("pi_good", Some("ord-good"), 1250, "succeeded"),
        payment("pi_first", Some("ord-twice"), 1250, "succeeded"),
        payment("pi_refunded", Some("ord-refunded"), 1250, "succeeded"),
        payment("pi_declined", Some("ord-declined"), 1250, "requires_payment_method"),
        payment("pi_foreign", None, 999, "succeeded"),
    ];
    let refunds = vec![
        json!({ "id": "re_1", "payment_intent": "pi_other", "amount": 1, "status": "succeeded" }),
        json!({ "id": "re_2", "payment_intent": "pi_refunded", "amount": 1250, "status": "succeeded" }),
        json!({ "id": "re_3", "payment_intent": "pi_kept", "amount": 1250, "status": "failed" }),
    ];
    let balanced = [
        payment("pi_amount", Some("ord-amount"), 1250, "succeeded"),
        payment("pi_unpaid", Some("ord-unpaid"), 1250, "succeeded"),
    ];
    let damaged = [
        payment("pi_amount", Some("ord-amount"), 1350, "succeeded"),
        payment("pi_second", Some("ord-twice"), 1250, "succeeded"),
        payment("pi_kept", Some("ord-kept"), 1250, "succeeded"),
        payment("pi_ghost", Some("ord-ghost"), 1250, "succeeded"),
    ];
    let look = async |others: &[Value]| {
        let payments = good.iter().chain(others).cloned().collect();
        let mut environment = tables.database.environment.clone();
        environment.insert("STRIPE_API_KEY".to_owned(), "sk_test_1".to_owned());
        environment.insert("STRIPE_API_BASE".to_owned(), stripe(payments, refunds.clone()).await);
        audit(&environment, &["--no-topics", "--stripe", "7d"]).await
    };
    let found = look(&balanced).await;
    assert_eq!((found.status, found.findings()), (0, vec![]), "{found:?}");
    assert_eq!(found.report["read"]["payments"], 6);
    let found = look(&damaged).await;
    let expected = [
        ("payment-without-row", "ord-ghost"),
        ("payment-not-refunded", "ord-kept"),
        ("payment-twice", "ord-twice"),
        ("payment-amount", "ord-amount"),
        ("row-without-payment", "ord-unpaid"),
    ];
    let expected = expected.map(|(kind, id)| (kind.to_owned(), id.to_owned()));
    assert_eq!((found.status, found.findings()), (1, expected.to_vec()), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_respond_and_wrong_usage_have_exit_status_2() {
    let tables = Tables::start().await;
    let environment = &tables.database.environment;
    for (changes, arguments, error) in [
        (vec![], vec!["--no-topics", "--open-for", "soon"], "give a time such as 90s"),
        (vec![], vec!["--no-topics", "--opening", "missing.json"], "cannot read the opening"),
        (vec![], vec!["--no-topics", "--stripe", "7d"], "--stripe needs STRIPE_API_KEY"),
        (vec![("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")], vec![], "no response from the Kafka"),
        (
            vec![("STRIPE_API_KEY", "sk_1"), ("STRIPE_API_BASE", "http://127.0.0.1:1")],
            vec!["--no-topics", "--stripe", "7d"],
            "no response from Stripe",
        ),
    ] {
        let mut environment = environment.clone();
        for (name, value) in changes {
            environment.insert(name.to_owned(), value.to_owned());
        }
        let failed = audit(&environment, &arguments).await;
        assert_eq!(failed.status, 2, "{failed:?}");
        assert!(failed.stderr.contains(error), "{failed:?}");
    }
}
