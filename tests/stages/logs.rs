//! Confidential data: at no level does a log contain a customer, a payload, a balance or a key.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use axum::{Router, http::StatusCode, response::IntoResponse};
use contracts::{EventType, StageName, Topic};
use engine::{Engine, OrdersTable, RowBody};
use inventory::{Reserve, StockTable};
use order_api::Close;
use payment::{Charge, ProviderSettings};
use runtime::Environment;
use serde_json::{Value, json};
use workflow_tests::{
    captured::Captured,
    stages::{Record, Stages, handle},
};

/// The time for the first attempt of a delivery, and for the last.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
const LAST_TIMEOUT: Duration = Duration::from_secs(16);

const SECRET: &str = "Jane-Doe-4242";

/// The log levels of a function; the first is the default.
const LEVELS: [&str; 3] = ["info", "debug", "trace"];

fn event(event_type: EventType) -> String {
    let event: Value = json!({
        "eventType": event_type.name(), "orderId": "ord-1", "correlationId": "corr-1",
        "timestamp": "2026-02-06T12:00:00Z",
        "payload": {
            "customerId": SECRET, "totalAmount": 1, "items": [{ "sku": "A", "quantity": 1 }],
            "paymentMethodId": "pm_1",
            "failureReason": format!("PAYMENT_DECLINED: {SECRET}"),
        },
    });
    event.to_string()
}

/// Serves one response to every request; returns its URL.
async fn server(status: u16, body: String) -> String {
    let app = Router::new().fallback(move || {
        let body = body.clone();
        async move { (StatusCode::from_u16(status).unwrap(), body).into_response() }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

fn client(url: String) -> Client {
    Client::from_conf(
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(url)
            .build(),
    )
}

/// Delivers events that fail; returns the errors in the log, which has no secret. If an error lacks
/// its cause, the time was too short for a response: they are delivered again with twice the time.
async fn errors(level: &str, cause: &str, deliveries: &[(&Engine, String)]) -> Vec<String> {
    let mut timeout = FIRST_TIMEOUT;
    loop {
        let (log, logging) = Captured::start(level);
        for (engine, event) in deliveries {
            assert!(!handle(engine, event, timeout).await, "{level}");
        }
        drop(logging);
        for secret in [SECRET, "1000.00", "hidden"] {
            assert!(!log.text().contains(secret), "{level}: {}", log.text());
        }
        let lines = log.of_order("ord-1");
        let errors = lines.iter().map(|line| line["error"].as_str().unwrap().to_owned());
        let errors: Vec<String> = errors.collect();
        assert_eq!(errors.len(), deliveries.len(), "{}", log.text());
        if timeout >= LAST_TIMEOUT || errors.iter().all(|error| error.contains(cause)) {
            return errors;
        }
        timeout *= 2;
    }
}

#[tokio::test]
async fn an_error_of_the_database_reaches_the_log_by_its_code_alone() {
    let item = json!({ "customerId": { "S": SECRET }, "balance": { "N": "1000.00" } });
    let error = |kind: &str| {
        json!({
            "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"),
            "message": format!("cannot use {SECRET}"), "Message": SECRET,
            "CancellationReasons": [
                { "Code": "ValidationError", "Message": SECRET, "Item": item },
                { "Code": "None" },
            ],
        })
        .to_string()
    };
    let responses = [
        (400, error("ValidationException"), "ValidationException"),
        (400, error("AccessDeniedException"), "AccessDeniedException"),
        (400, error("TransactionCanceledException"), ""),
        (500, error("InternalServerError"), "InternalServerError"),
        (200, format!("{{\"Responses\":{SECRET}"), "the response "),
    ];
    let stages = Stages::start().await;
    for level in LEVELS {
        for (status, body, cause) in &responses {
            let client = client(server(*status, body.clone()).await);
            let mut context = stages.context.clone();
            context.orders = OrdersTable { client, ..context.orders };
            let reserve = Reserve { stock: StockTable("Stock".to_owned()) };
            let inventory = Engine::new(context.clone()).with(reserve);
            let close = Engine::new(context.clone()).with(Close);
            let deliveries = [
                (&inventory, Topic::OrderValidated, EventType::OrderValidated),
                (&close, Topic::OrderFailed, EventType::OrderPaymentFailed),
            ]
            .map(|(engine, topic, event_type)| {
                (engine, stages.event(topic, &[Record::of(event(event_type))]))
            });
            for error in errors(level, cause, &deliveries).await {
                assert!(error.starts_with("deadline exceeded while "), "{error}");
                assert!(error.contains(cause), "{cause} is not in {error}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_of_stripe_reaches_the_log_without_its_text() {
    let stages = Stages::start().await;
    assert!(stages.store(event(EventType::InventoryReserved).as_bytes()).await);
    let error = json!({ "error": {
        "type": "invalid_request_error", "code": "resource_missing", "param": "customer",
        "message": format!("No such customer: '{SECRET}'; a similar object exists in test mode"),
    }});
    for level in LEVELS {
        for (status, body) in [
            (400, error.to_string()),
            (500, format!("<html>{SECRET}")),
            (200, json!({ "data": SECRET }).to_string()),
        ] {
            let mut environment = Environment::new(
                [
                    ("PAYMENT_PROVIDER", "stripe".to_owned()),
                    ("CURRENCY", "USD".to_owned()),
                    ("STRIPE_API_KEY", "sk_test_hidden".to_owned()),
                    ("STRIPE_API_BASE", server(status, body).await),
                ]
                .map(|(name, value)| (name.to_owned(), value)),
            );
            let settings = ProviderSettings::read(&mut environment);
            let provider = settings.connect(stages.context.clock).await.unwrap();
            let engine = Engine::new(stages.context.clone()).with(Charge { provider });
            let record = Record::of(event(EventType::InventoryReserved));
            let batch = stages.event(Topic::InventoryReserved, &[record]);
            let cause = "charge at Stripe";
            for error in errors(level, cause, &[(&engine, batch)]).await {
                assert!(error.contains(cause), "{error}");
            }
        }
    }
    assert!(!stages.rows("ord-1").await.contains_key(&StageName::Payment));
}

#[tokio::test]
async fn a_forged_event_has_an_outcome_of_its_own() {
    let stages = Stages::start().await;
    let (log, logging) = Captured::start("info");
    let forged = Record::of(event(EventType::PaymentCompleted));
    stages.deliver(Topic::PaymentCompleted, &[forged], 1).await;
    assert_eq!(log.outcome("ord-1"), "unverified");
    drop(logging);
    // If the publisher has stored another event, the stage acts on that one and logs a warning.
    let stored = event(EventType::InventoryReserved).replace(SECRET, "cust-1");
    assert!(stages.store(stored.as_bytes()).await);
    let (log, logging) = Captured::start("info");
    let forged = Record::of(event(EventType::InventoryReserved));
    stages.deliver(Topic::InventoryReserved, &[forged], 1).await;
    drop(logging);
    let lines = log.of_order("ord-1");
    let warned = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    let message = "the record is not the stored event: acting on the stored event";
    assert_eq!(warned["message"], message);
    assert!(!log.text().contains(SECRET), "{}", log.text());
    let rows = stages.rows("ord-1").await;
    let RowBody::Event(event) = &rows[&StageName::Payment].body else { panic!("an event") };
    assert!(event.body.contains("cust-1") && !event.body.contains(SECRET), "{}", event.body);
}

#[tokio::test]
async fn the_log_levels_of_other_crates_are_capped() {
    for directives in
        ["trace", "lambda_runtime=trace,hyper=debug", "aws_smithy_runtime::client=trace"]
    {
        let (log, logging) = Captured::start(directives);
        tracing::trace!(target: "lambda_runtime", "{SECRET}");
        tracing::debug!(target: "lambda_runtime::layers", "{SECRET}");
        tracing::debug!(target: "aws_smithy_runtime::client::orchestrator", "{SECRET}");
        tracing::trace!(target: "hyper::proto", "{SECRET}");
        tracing::debug!(target: "another_function", "{SECRET}");
        tracing::warn!(target: "engine", "of our own");
        drop(logging);
        assert!(!log.text().contains(SECRET), "{directives}: {}", log.text());
    }
    let (log, logging) = Captured::start("trace");
    tracing::trace!(target: "engine::steps", "of our own");
    tracing::trace!(target: "validator::validate", "of the function");
    tracing::info!(target: "lambda_runtime", "of the runtime");
    drop(logging);
    for line in ["of our own", "of the function", "of the runtime"] {
        assert!(log.text().contains(line), "{line}: {}", log.text());
    }
}
