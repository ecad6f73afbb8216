//! A stub of Stripe's payment intents with idempotency keys that counts requests by customer.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    routing::{get, post},
};
use serde_json::{Value, json};

/// Duration of a charge, so that a second one with the same key can overlap.
const CHARGE_TIME: Duration = Duration::from_millis(20);

pub struct Stripe {
    pub url: String,
    account: Account,
}

type Account = Arc<Mutex<Ledger>>;
type Response = (StatusCode, Json<Value>);

#[derive(Default)]
struct Ledger {
    requests: HashMap<String, usize>,
    /// The first request's form by key, and its payment once it is made.
    payments: BTreeMap<String, (Bytes, Option<Value>)>,
    /// Keys that were used up without a charge.
    used_up: BTreeSet<String>,
    /// The refunded payment by key.
    refunds: BTreeMap<String, String>,
}

impl Stripe {
    pub async fn start() -> Self {
        let account = Account::default();
        let app = Router::new()
            .route("/v1/payment_intents", get(list).post(charge))
            .route("/v1/customers/{id}", get(customer).post(use_up_key))
            .route("/v1/refunds", post(refund))
            .with_state(Arc::clone(&account));
        Self { url: super::serve(app).await, account }
    }

    /// The number of requests for this customer.
    pub fn requests(&self, customer: &str) -> usize {
        self.account.lock().unwrap().requests.get(customer).copied().unwrap_or_default()
    }

    /// The amounts charged for this order, in cents.
    pub fn charges(&self, order_id: &str) -> Vec<String> {
        let ledger = self.account.lock().unwrap();
        let payments = ledger.payments.values().filter_map(|(_, payment)| payment.as_ref());
        let of_order = payments.filter(|it| it["metadata"]["orderId"] == order_id);
        of_order.map(|it| it["amount"].as_str().unwrap().to_owned()).collect()
    }

    /// The number of refunds of this order's payments.
    pub fn refunds(&self, order_id: &str) -> usize {
        let ledger = self.account.lock().unwrap();
        let payment = format!("pi_{order_id}");
        ledger.refunds.values().filter(|it| **it == payment).count()
    }
}

fn idempotency_key(headers: &HeaderMap) -> String {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    key.expect("a request that changes anything has an idempotency key").to_owned()
}

async fn charge(State(account): State<Account>, headers: HeaderMap, body: Bytes) -> Response {
    let form = super::form(&body);
    let key = idempotency_key(&headers);
    {
        let mut ledger = account.lock().unwrap();
        *ledger.requests.entry(form["customer"].clone()).or_default() += 1;
        if ledger.used_up.contains(&key) {
            return error(StatusCode::BAD_REQUEST, None);
        }
        match ledger.payments.get(&key) {
            Some((first, _)) if *first != body => {
                return error(StatusCode::BAD_REQUEST, None);
            }
            Some((_, None)) => return error(StatusCode::CONFLICT, Some("idempotency_key_in_use")),
            Some((_, Some(payment))) => return (StatusCode::OK, Json(payment.clone())),
            None => ledger.payments.insert(key.clone(), (body.clone(), None)),
        };
    }
    // A task of its own, because a charge is made although its client has gone.
    let charge = tokio::spawn(async move {
        tokio::time::sleep(CHARGE_TIME).await;
        let payment = json!({
            "id": format!("pi_{key}"), "object": "payment_intent", "status": "succeeded",
            "amount": form["amount"], "customer": form["customer"],
            "metadata": { "orderId": form["metadata[orderId]"] },
        });
        account.lock().unwrap().payments.insert(key, (body, Some(payment.clone())));
        payment
    });
    (StatusCode::OK, Json(charge.await.expect("the charge is made")))
}

async fn list(State(account): State<Account>, uri: Uri) -> Response {
    let query = super::form(uri.query().unwrap_or_default().as_bytes());
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

/// A request with an order's key that changes nothing.
async fn use_up_key(
    State(account): State<Account>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let key = idempotency_key(&headers);
    let mut ledger = account.lock().unwrap();
    *ledger.requests.entry(id.clone()).or_default() += 1;
    match ledger.payments.get(&key) {
        Some((_, None)) => error(StatusCode::CONFLICT, Some("idempotency_key_in_use")),
        Some(_) => error(StatusCode::BAD_REQUEST, None),
        None => {
            ledger.used_up.insert(key);
            (StatusCode::OK, Json(json!({ "id": id })))
        }
    }
}

async fn refund(State(account): State<Account>, headers: HeaderMap, body: Bytes) -> Response {
    let (key, form) = (idempotency_key(&headers), super::form(&body));
    let mut ledger = account.lock().unwrap();
    let refund = json!({ "id": format!("re_{key}"), "object": "refund", "status": "succeeded" });
    ledger.refunds.insert(key, form["payment_intent"].clone());
    (StatusCode::OK, Json(refund))
}

fn error(status: StatusCode, code: Option<&str>) -> Response {
    (status, Json(json!({ "error": { "type": "idempotency_error", "code": code } })))
}
