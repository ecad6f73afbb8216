//! Charges against a server with scripted responses.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{Router, body, extract::Request, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};

use super::*;

pub(super) const EVENT_MADE: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// Responds to requests in order, and records them.
pub(super) struct Server {
    pub(super) stripe: Stripe,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(clock: Clock, responses: &[(u16, Value)]) -> Self {
        let responses: VecDeque<_> = responses.iter().cloned().collect();
        let (responses, requests) = (Arc::new(Mutex::new(responses)), Arc::default());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&requests);
        let app = Router::new().fallback(move |request: Request| {
            let (responses, kept) = (Arc::clone(&responses), Arc::clone(&kept));
            async move {
                let head = format!("{} {}", request.method(), request.uri());
                let key = request.headers().get("idempotency-key").cloned();
                let sent = body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
                let sent = String::from_utf8(sent.to_vec()).unwrap();
                kept.lock().unwrap().push(format!("{head} {key:?} {sent}"));
                let (status, response) = responses.lock().unwrap().pop_front().unwrap();
                let is_replayed = (response == replayed()).to_string();
                let status = StatusCode::from_u16(status).unwrap();
                let header = [("idempotent-replayed", is_replayed)];
                (status, header, response.to_string()).into_response()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the server runs beside its test")]
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let stripe = Stripe {
            client: Client::new(base, "sk_test_1".into()).unwrap(),
            currency: Currency::parse("USD").unwrap(),
            clock,
            attempts: Attempts::default(),
        };
        Self { stripe, requests }
    }

    async fn charge(&self, payload: Value) -> Result<ChargeOutcome, Error> {
        self.charge_of("ord-1", payload).await
    }

    async fn charge_of(&self, id: &str, payload: Value) -> Result<ChargeOutcome, Error> {
        let body = json!({
            "eventType": "InventoryReserved", "orderId": id, "correlationId": "corr-1",
            "timestamp": EVENT_MADE.to_string(), "payload": payload,
        })
        .to_string();
        let event = Envelope::decode(body.as_bytes()).unwrap();
        let amount = Money::from_text("99.98").unwrap();
        self.stripe.charge(&event, "cus_1", amount).await
    }

    /// Method and path of each request, without the queries.
    pub(super) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let heads = requests.iter().map(|it| it.split([' ', '?']).take(2).collect::<Vec<_>>());
        heads.map(|head| head.join(" ")).collect()
    }
}

pub(super) fn soon() -> Timestamp {
    EVENT_MADE + SignedDuration::from_secs(2)
}

fn later() -> Timestamp {
    EVENT_MADE + LISTED_AFTER + SignedDuration::from_secs(1)
}

pub(super) fn next_day() -> Timestamp {
    EVENT_MADE + KEY_LIFE
}

pub(super) fn paid() -> Value {
    json!({ "id": "pi_1", "status": "succeeded", "metadata": { "orderId": "ord-1" } })
}

pub(super) fn payments(list: &[Value]) -> Value {
    json!({ "data": list, "has_more": false })
}

/// A response that Stripe repeats.
fn replayed() -> Value {
    json!({ "error": { "type": "api_error" } })
}

fn with_card() -> Value {
    json!({ "customerId": "cus_1", "paymentMethodId": "pm_1" })
}

fn id(payment: ChargeOutcome) -> String {
    match payment {
        ChargeOutcome::Paid(id) => id,
        ChargeOutcome::Declined(why) => panic!("declined: {why}"),
    }
}

pub(super) const LIST: &str = "GET /v1/payment_intents";
const CHARGE: &str = "POST /v1/payment_intents";
const CUSTOMER: &str = "GET /v1/customers/cus_1";
pub(super) const USE_UP: &str = "POST /v1/customers/cus_1";

#[tokio::test]
async fn a_charge_carries_the_order_its_key_and_the_amount_in_cents() {
    let server = Server::start(soon, &[(200, paid())]).await;
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    let requests = server.requests.lock().unwrap().join("\n");
    for part in [
        "Some(\"ord-1\")",
        "amount=9998&currency=usd&customer=cus_1&payment_method=pm_1",
        "confirm=true&off_session=true",
        "metadata%5BorderId%5D=ord-1&metadata%5BcorrelationId%5D=corr-1",
    ] {
        assert!(requests.contains(part), "{part} is not in {requests}");
    }
}

#[tokio::test]
async fn a_charge_whose_response_was_lost_is_found_and_not_made_again() {
    let responses = [(500, json!({})), (502, json!({})), (200, payments(&[paid()])), (200, paid())];
    let server = Server::start(soon, &responses).await;
    server.charge(with_card()).await.err().unwrap();
    server.charge(with_card()).await.err().unwrap();
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    assert_eq!(server.requests(), [CHARGE, LIST, LIST]);
    // The outcome is known now, so the next delivery relies on the key.
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    assert_eq!(server.requests().last().unwrap(), CHARGE);
}

#[tokio::test]
async fn a_charge_whose_response_was_lost_and_that_is_not_found_is_made_with_the_same_key() {
    let others = json!({ "id": "pi_0", "status": "succeeded", "metadata": {} });
    let responses = [(500, json!({})), (200, payments(&[others])), (200, paid())];
    let server = Server::start(soon, &responses).await;
    server.charge(with_card()).await.err().unwrap();
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    assert_eq!(server.requests(), [CHARGE, LIST, CHARGE]);
}

#[tokio::test]
async fn an_error_that_stripe_repeats_is_left_to_a_person_once_no_charge_is_listed() {
    let none = || (200, payments(&[]));
    // The customer's card has changed since the first attempt.
    let of_another_card = (400, json!({ "error": { "type": "idempotency_error" } }));
    let cases: [(Clock, bool); 2] = [(soon, false), (later, true)];
    for (repeated, (clock, is_final)) in [(500, replayed()), of_another_card]
        .iter()
        .flat_map(|repeated| cases.map(|case| (repeated, case)))
    {
        let responses = [repeated.clone(), none(), repeated.clone()];
        let server = Server::start(clock, &responses).await;
        let first = server.charge(with_card()).await.err().unwrap();
        assert!(matches!(first, Error::Transient(_)), "before a look: {first:?}");
        let second = server.charge(with_card()).await.err().unwrap();
        assert_eq!(matches!(second, Error::Permanent(_)), is_final, "{second:?}");
        assert_eq!(server.requests(), [CHARGE, LIST, CHARGE]);
    }
    // An error of this attempt may be gone at the next one.
    let server = Server::start(later, &[(500, replayed()), none(), (500, json!({}))]).await;
    server.charge(with_card()).await.err().unwrap();
    let error = server.charge(with_card()).await.err().unwrap();
    assert!(matches!(error, Error::Transient(_)), "{error:?}");
    // A charge that went through is found in another process, too.
    let responses = [(500, replayed()), (200, payments(&[paid()]))];
    let server = Server::start(later, &responses).await;
    server.charge(with_card()).await.err().unwrap();
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
}

#[tokio::test]
async fn an_order_without_an_outcome_holds_up_others_for_a_quarter_of_an_hour_at_most() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    let moving = || EVENT_MADE + SignedDuration::from_secs(SECONDS.load(Ordering::Relaxed));
    let minutes = |minutes: i64| SECONDS.store(minutes * 60, Ordering::Relaxed);
    let refused = |status, kind, parameter| {
        (status, json!({ "error": { "type": kind, "param": parameter } }))
    };
    let none = (200, payments(&[]));
    let customer = || (200, json!({ "id": "cus_1" }));
    let in_use = refused(409, "idempotency_error", "");
    let rejected = refused(400, "invalid_request_error", "currency");
    // Of a charge that may have been made, the list is asked first.
    let looks = [vec![in_use.clone()], vec![none.clone(), in_use.clone()], vec![none, in_use]];
    let [again, limited, no_key, forbidden] = [rejected]
        .into_iter()
        .chain([429, 401, 403].map(|status| refused(status, "invalid_request_error", "")))
        .map(|response| [vec![response.clone()], vec![response.clone()], vec![response]])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    for ([first, second, third], is_given_up) in
        [(looks, true), (again, true), (limited, false), (no_key, false), (forbidden, false)]
    {
        let without_card = || vec![customer(), customer()];
        let responses =
            [without_card(), first, without_card(), second, vec![(200, paid())], third].concat();
        let server = Server::start(moving, &responses).await;
        let unnamed = json!({ "customerId": "cus_1", "paymentMethodId": 7 });
        for at in [0, 16] {
            minutes(at);
            for (order_id, payload) in [("ord-3", unnamed.clone()), ("ord-4", json!({}))] {
                let outcome = server.charge_of(order_id, payload).await.unwrap();
                assert!(matches!(outcome, ChargeOutcome::Declined(_)), "no charge: {outcome:?}");
            }
            let error = server.charge(with_card()).await.err().unwrap();
            assert!(matches!(error, Error::Transient(_)), "Stripe may be away: {error:?}");
        }
        server.charge_of("ord-2", with_card()).await.unwrap();
        let error = server.charge(with_card()).await.err().unwrap();
        assert_eq!(matches!(error, Error::Permanent(_)), is_given_up, "{error:?}");
    }
}

#[tokio::test]
async fn an_order_whose_customer_has_no_card_any_more_is_declined_unless_it_was_charged() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    let moving = || EVENT_MADE + SignedDuration::from_secs(SECONDS.load(Ordering::Relaxed));
    let customer = || (200, json!({ "id": "cus_1" }));
    let used = || (400, json!({ "error": { "type": "idempotency_error" } }));
    let listed = |list: &[Value]| (200, payments(list));
    let responses = [customer(), used(), listed(&[paid()])];
    let server = Server::start(moving, &responses).await;
    assert_eq!(id(server.charge(json!({})).await.unwrap()), "pi_1");
    assert_eq!(server.requests(), [CUSTOMER, USE_UP, LIST]);
    // A charge that has begun late is not listed yet.
    let unanswered = || (500, json!({}));
    let with_card = json!({ "invoice_settings": { "default_payment_method": "pm_1" } });
    let gone = || (404, json!({ "error": { "code": "resource_missing", "param": "id" } }));
    let with_card = || (200, with_card.clone());
    let looks = [listed(&[]), customer(), used(), listed(&[])];
    for last in [looks, [listed(&[]), customer(), gone(), listed(&[])]] {
        let begun = [with_card(), unanswered(), listed(&[]), with_card(), unanswered()];
        let server = Server::start(moving, &[&begun[..], &last, &last].concat()).await;
        let late = LISTED_AFTER.as_secs() + 1;
        for at in [0, late, late + 1] {
            SECONDS.store(at, Ordering::Relaxed);
            let error = server.charge(json!({})).await.err().unwrap();
            assert!(matches!(error, Error::Transient(_)), "{error:?}");
        }
        SECONDS.store(2 * late + 1, Ordering::Relaxed);
        let outcome = server.charge(json!({})).await.unwrap();
        assert!(matches!(outcome, ChargeOutcome::Declined(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_charge_of_a_customer_who_is_gone_is_left_to_a_person() {
    let with_card = json!({ "invoice_settings": { "default_payment_method": "pm_1" } });
    let gone = || (404, json!({ "error": { "code": "resource_missing", "param": "id" } }));
    // No list tells whether the charge was made: of this process, and of another one.
    let server = Server::start(soon, &[(200, with_card), (500, json!({})), gone()]).await;
    server.charge(json!({})).await.err().unwrap();
    let error = server.charge(json!({})).await.err().unwrap();
    assert!(matches!(error, Error::Permanent(_)), "{error:?}");
    let used = (400, json!({ "error": { "type": "idempotency_error" } }));
    let server = Server::start(soon, &[(200, json!({ "id": "cus_1" })), used, gone()]).await;
    let error = server.charge(json!({})).await.err().unwrap();
    assert!(matches!(error, Error::Permanent(_)), "{error:?}");
}

#[tokio::test]
async fn a_payment_that_is_still_under_way_is_joined_and_never_declined() {
    for status in ["requires_confirmation", "requires_payment_method", "processing"] {
        let found = json!({ "id": "pi_1", "status": status, "metadata": { "orderId": "ord-1" } });
        let listed = payments(&[found]);
        let responses = [(500, json!({})), (200, listed.clone()), (200, paid())];
        let server = Server::start(soon, &responses).await;
        server.charge(with_card()).await.err().unwrap();
        assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
        assert_eq!(server.requests(), [CHARGE, LIST, CHARGE]);
        // If Stripe may have forgotten the key, wait for its end.
        let server = Server::start(next_day, &[(200, listed)]).await;
        let error = server.charge(with_card()).await.err().unwrap().chain();
        assert!(error.contains(status), "{error}");
        assert_eq!(server.requests(), [LIST]);
    }
}

#[tokio::test]
async fn an_order_older_than_its_key_is_looked_for_first_on_every_page() {
    let others = json!({ "id": "pi_0", "status": "succeeded", "metadata": {} });
    let first_page = json!({ "data": [others], "has_more": true });
    let responses = [(200, first_page), (200, payments(&[paid()]))];
    let server = Server::start(next_day, &responses).await;
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    assert_eq!(server.requests(), [LIST, LIST]);
    let requests = server.requests.lock().unwrap().join("\n");
    assert!(requests.contains("created%5Bgte%5D=1789996400"), "{requests}");
    assert!(requests.contains("starting_after=pi_0"), "{requests}");
}

#[tokio::test]
async fn a_refused_request_is_made_again_without_a_look() {
    let limited = json!({ "error": { "type": "invalid_request_error", "code": "rate_limit" } });
    let server = Server::start(soon, &[(429, limited), (200, paid())]).await;
    let error = server.charge(with_card()).await.err().unwrap().chain();
    assert!(error.contains("429"), "{error}");
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    assert_eq!(server.requests(), [CHARGE, CHARGE]);
}

#[tokio::test]
async fn an_unknown_customer_is_declined_once_the_key_has_found_another() {
    let missing = json!({ "error": {
        "type": "invalid_request_error", "code": "resource_missing", "param": "customer",
        "message": "No such customer: 'cus_1'",
    }});
    let responses = [(400, missing.clone()), (200, paid()), (400, missing)];
    let server = Server::start(soon, &responses).await;
    let error = server.charge(with_card()).await.err().unwrap().chain();
    assert!(error.contains("check that the API key is of the account"), "{error}");
    assert!(!error.contains("cus_1"), "{error}");
    assert_eq!(id(server.charge(with_card()).await.unwrap()), "pi_1");
    let ChargeOutcome::Declined(why) = server.charge(with_card()).await.unwrap() else {
        panic!("no charge is made");
    };
    assert!(why.starts_with("resource_missing: customerId is not a customer"), "{why}");
}

#[tokio::test]
async fn without_a_named_payment_method_the_customers_own_is_charged() {
    let chosen = json!({ "invoice_settings": { "default_payment_method": "pm_7" } });
    let server = Server::start(soon, &[(200, chosen), (200, paid())]).await;
    assert_eq!(id(server.charge(json!({})).await.unwrap()), "pi_1");
    assert!(server.requests.lock().unwrap()[1].contains("payment_method=pm_7"));
    let responses = [(200, json!({ "deleted": true })), (200, json!({ "id": "cus_1" }))];
    let server = Server::start(soon, &responses).await;
    let ChargeOutcome::Declined(why) = server.charge(json!({})).await.unwrap() else {
        panic!("no charge is made");
    };
    assert!(why.starts_with("no_payment_method: "), "{why}");
}
