//! A stub of Stripe's payment intents with idempotency keys that counts requests by customer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    routing::get,
};
use serde_json::{Value, json};

/// Duration of a charge, so that a second one with the same key can overlap.
const CHARGE_TIME: Duration = Duration::from_millis(20);

pub(crate) struct Stripe {
    pub(crate) url: String,
    account: Account,
}

type Account = Arc<Mutex<Ledger>>;
type Response = (StatusCode, Json<Value>);

#[derive(Default)]
struct Ledger {
    requests: HashMap<String, usize>,
    /// The first request's form by key, and its payment once it is made.
    payments: BTreeMap<String, (Bytes, Option<Value>)>,
}

impl Stripe {
    pub(crate) async fn start() -> Self {
        let account = Account::default();
        let app = Router::new()
            .route("/v1/payment_intents", get(list).post(charge))
            .route("/v1/customers/{id}", get(customer))
            .with_state(Arc::clone(&account));
        Self { url: crate::serve(app).await, account }
    }

    /// The number of requests for this customer.
    pub(crate) fn requests(&self, customer: &str) -> usize {
        self.account.lock().unwrap().requests.get(customer).copied().unwrap_or_default()
    }

    /// The amounts charged for this order, in cents.
    pub(crate) fn charges(&self, order_id: &str) -> Vec<String> {
        let ledger = self.account.lock().unwrap();
        let payments = ledger.payments.values().filter_map(|(_, payment)| payment.as_ref());
        let of_order = payments.filter(|it| it["metadata"]["orderId"] == order_id);
        of_order.map(|it| it["amount"].as_str().unwrap().to_owned()).collect()
    }
}

async fn charge(State(account): State<Account>, headers: HeaderMap, body: Bytes) -> Response {
    let form = crate::form(&body);
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.expect("a charge has an idempotency key").to_owned();
    {
        let mut ledger = account.lock().unwrap();
        *ledger.requests.entry(form["customer"].clone()).or_default() += 1;
        match ledger.payments.get(&key) {
            Some((first, _)) if *first != body => {
                return error(StatusCode::BAD_REQUEST, None);
            }
            Some((_, None)) => return error(StatusCode::CONFLICT, Some("idempotency_key_in_use")),
            Some((_, Some(payment))) => return (StatusCode::OK, Json(payment.clone())),
            None => ledger.payments.insert(key.clone(), (body.clone(), None)),
        };
    }
    tokio::time::sleep(CHARGE_TIME).await;
    let payment = json!({
        "id": format!("pi_{key}"), "object": "payment_intent", "status": "succeeded",
        "amount": form["amount"], "customer": form["customer"],
        "metadata": { "orderId": form["metadata[orderId]"] },
    });
    account.lock().unwrap().payments.insert(key, (body, Some(payment.clone())));
    (StatusCode::OK, Json(payment))
}

async fn list(State(account): State<Account>, uri: Uri) -> Response {
    let query = crate::form(uri.query().unwrap_or_default().as_bytes());
    let mut ledger = account.lock().unwrap();
    *ledger.requests.entry(query["customer"].clone()).or_default() += 1;
    let payments = ledger.payments.values().filter_map(|(_, payment)| payment.clone());
    let payments: Vec<_> = payments.filter(|it| it["customer"] == query["customer"]).collect();
    (StatusCode::OK, Json(json!({ "object": "list", "data": payments, "has_more": false })))
}

async fn customer(State(account): State<Account>, Path(id): Path<String>) -> Response {
    *account.lock().unwrap().requests.entry(id.clone()).or_default() += 1;
    let settings = json!({ "default_payment_method": "pm_card_visa" });
    (StatusCode::OK, Json(json!({ "id": id, "invoice_settings": settings })))
}

fn error(status: StatusCode, code: Option<&str>) -> Response {
    (status, Json(json!({ "error": { "type": "idempotency_error", "code": code } })))
}
