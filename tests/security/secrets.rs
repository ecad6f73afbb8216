//! Secrets and personal data: on their way through the workflow, and nowhere else.
//!
//! Everything that may not be found carries a mark. Orders take every way through the program, also
//! with a database and a Stripe whose errors quote what they were sent.

use std::{fs, time::Duration};

use axum::{Router, body::Bytes, http::StatusCode, response::IntoResponse};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use emulator::{broker::Broker, tap::Tap};
use serde_json::{Value, json};
use tokio::time::timeout;
use workflow_tests::world::root;

use crate::{
    local_run::LocalRun,
    quoting_database::{Failing, QuotingDatabase},
};

/// Marks that nobody may find but the customer: in no log, no page and no metadata.
const PERSONAL: [&str; 5] =
    ["Marked-Name", "marked@mail.example", "Marked-Street-1", "Marked-Token", "pm_marked"];

/// A customer's id, which the local page shows.
const CUSTOMER_ID: &str = "marked-customer";

/// Marks of the operator's secrets.
const SECRETS: [&str; 4] =
    ["MARKEDSECRETACCESSKEY", "MARKEDSESSIONTOKEN", "sk_test_markedstripekey", "MARKEDACCESSKEYID"];

fn order(customer_id: &str, changes: &[(&str, Value)]) -> String {
    let mut order = json!({
        "customerId": customer_id, "items": [{ "sku": "ITEM-A", "quantity": 1 }], "totalAmount": 1,
        "name": "Marked-Name", "email": "marked@mail.example",
        "address": { "street": "Marked-Street-1" }, "paymentMethodId": "pm_marked",
    });
    for (name, value) in changes {
        order[*name] = value.clone();
    }
    order.to_string()
}

/// A folder with a copy of the template whose mappings give a record up at once, in `target` because
/// the functions are built in its workspace.
fn impatient_template() -> tempfile::TempDir {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let changed = text
        .replace("MaximumRetryAttempts: 10000", "MaximumRetryAttempts: 0")
        .replace("Timeout: 60", "Timeout: 10");
    assert_ne!(changed, text);
    let copy = tempfile::tempdir_in(root().join("target")).unwrap();
    fs::write(copy.path().join("template.yaml"), changed).unwrap();
    let stock = "events/stock-and-accounts.json";
    fs::create_dir(copy.path().join("events")).unwrap();
    fs::copy(root().join(stock), copy.path().join(stock)).unwrap();
    copy
}

/// A Stripe whose errors quote the request and the key; gives its URL.
async fn quoting_stripe() -> String {
    let app = Router::new().fallback(async |headers: axum::http::HeaderMap, body: Bytes| {
        let text = String::from_utf8_lossy(&body).into_owned();
        let message = format!("{headers:?} {text}");
        let error = json!({ "error": { "type": "api_error", "message": message } });
        (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// Asserts that a text has none of these marks, however it is encoded there.
fn assert_absent(place: &str, text: &str, marks: &[&str]) {
    for mark in marks {
        for form in [(*mark).to_owned(), BASE64_STANDARD.encode(mark)] {
            if let Some(at) = text.find(form.trim_end_matches('=')) {
                let from = (0..=at.saturating_sub(300)).rev().find(|it| text.is_char_boundary(*it));
                panic!(
                    "{mark} is in {place}: {}",
                    &text[from.unwrap_or_default()..at + form.len() / 2]
                );
            }
        }
    }
}

fn everything() -> Vec<&'static str> {
    PERSONAL.into_iter().chain(SECRETS).collect()
}

/// Looks through the files, the terminal and the page of a run that has ended its work.
async fn search(run: LocalRun) {
    let everything = everything();
    let state = run.page_state().await + &run.text("/").await;
    for mapping in ["ValidatorMapping", "InventoryReserveMapping", "PaymentMapping"] {
        let log = run.text(&format!("/_page/mappings/{mapping}/log")).await;
        assert_absent(mapping, &log, &[&everything[..], &[CUSTOMER_ID]].concat());
    }
    assert_absent("the page", &state, &everything);
    let files = run.files();
    assert!(files.iter().filter(|(path, _)| path.ends_with(".log")).count() >= 5, "{files:?}");
    for (path, text) in &files {
        assert_absent(path, text, &[&everything[..], &[CUSTOMER_ID]].concat());
    }
    let printed = run.stop().await.join("\n");
    assert_absent("the terminal", &printed, &everything);
}

/// The message of the first dead letter, without the records in it.
async fn dead_letter(run: &LocalRun) -> String {
    let broker = Broker::outside(&run.kafka).await.unwrap();
    let mut tap = Tap::start(&broker, &["order.dead-letter"]).await.unwrap();
    let accepted = run.post("/orders", &order("cust-1", &[]), &[]).await;
    assert!(accepted["orderId"].is_string(), "{accepted}");
    let record =
        timeout(Duration::from_secs(60), tap.next()).await.expect("a dead letter").unwrap();
    let mut message: Value = serde_json::from_slice(&record.payload.unwrap()).unwrap();
    // Lambda includes the records themselves.
    assert!(message["payload"].take().is_object());
    format!("{message} {:?} {:?}", record.key, record.headers)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_page_or_dead_letter_has_personal_data_or_secrets() {
    let database = QuotingDatabase::default();
    let url = database.start().await;
    let template = impatient_template();
    let variables = [
        ("RUST_LOG", "trace"),
        ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
        ("AWS_ACCESS_KEY_ID", SECRETS[3]),
        ("AWS_SECRET_ACCESS_KEY", SECRETS[0]),
        ("AWS_SESSION_TOKEN", SECRETS[1]),
    ];
    let run = LocalRun::start(&variables, &template.path().join("template.yaml")).await;
    database.is_in_front_of(&run.database);
    let headers = [("authorization", "Bearer Marked-Token"), ("cookie", "session=Marked-Token")];
    let mut orders = Vec::new();
    for (customer_id, changes, status) in [
        ("cust-1", vec![], "COMPLETED"),
        (CUSTOMER_ID, vec![], "FAILED"),
        (
            "cust-1",
            vec![("items", json!([{ "sku": "ITEM-A", "quantity": 100_000_000 }]))],
            "FAILED",
        ),
        ("cust-1", vec![("items", json!([{ "sku": "NOWHERE", "quantity": 1 }]))], "FAILED"),
        ("cust-1", vec![("totalAmount", json!("Marked-Name"))], "FAILED"),
    ] {
        let accepted = run.post("/orders", &order(customer_id, &changes), &headers).await;
        let order_id = accepted["orderId"].as_str().unwrap_or_else(|| panic!("{accepted}"));
        orders.push((order_id.to_owned(), status));
    }
    for (order_id, status) in &orders {
        assert_eq!(run.ended(order_id).await, *status, "{order_id}");
    }
    for malformed in [r#"{"name":"Marked-Name""#, r#"["marked@mail.example"]"#] {
        run.post("/orders", malformed, &headers).await;
    }
    database.fail(Failing::All);
    let refused = run.post("/orders", &order(CUSTOMER_ID, &[]), &headers).await;
    assert_eq!(refused["status"], 503, "{refused}");
    assert_absent("the response", &refused.to_string(), &PERSONAL);
    database.fail(Failing::None);
    // The intake succeeds, and the validator's write fails until its record is given up.
    database.fail(Failing::OfStages);
    let letter = dead_letter(&run).await;
    database.fail(Failing::None);
    assert!(database.errors() > 1, "the database has quoted");
    assert_absent("the dead letter", &letter, &[&everything()[..], &[CUSTOMER_ID]].concat());
    search(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_quotes_the_key_and_the_customer_reaches_no_log_and_no_page() {
    let stripe = quoting_stripe().await;
    let template = impatient_template();
    let variables = [
        ("RUST_LOG", "trace"),
        ("PAYMENT_PROVIDER", "stripe"),
        ("CURRENCY", "USD"),
        ("STRIPE_API_KEY", SECRETS[2]),
        ("STRIPE_API_BASE", stripe.as_str()),
    ];
    let run = LocalRun::start(&variables, &template.path().join("template.yaml")).await;
    let letter = dead_letter(&run).await;
    assert_absent("the dead letter", &letter, &everything());
    search(run).await;
}
