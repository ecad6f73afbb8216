//! What a function does around its stages: set up logging and clients, and answer Lambda.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::{
    Engine, Publisher, Settings, Store, batch::BatchResponse, publisher::DELIVERY_TIMEOUT,
    record::KafkaEvent,
};

/// Tells the time; `main` says how, so that nothing below it reads a clock.
pub type Clock = fn() -> Timestamp;

/// What the stages of one process share.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For tables of a stage's own.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The orders table.
    pub store: Store,
    /// The brokers.
    pub publisher: Publisher,
    /// The time.
    pub clock: Clock,
    /// How long a row is kept.
    pub row_ttl: SignedDuration,
    /// Whether the mapping reads partial responses.
    pub reports_batch_item_failures: bool,
}

impl Clients {
    /// Sets up the clients of a function; they connect when they are first used.
    ///
    /// # Errors
    /// When the Kafka client cannot be set up.
    pub async fn connect(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        Self::with_delivery_timeout(settings, clock, DELIVERY_TIMEOUT).await
    }

    /// The same with another time limit for publishing.
    ///
    /// # Errors
    /// When the Kafka client cannot be set up.
    pub async fn with_delivery_timeout(
        settings: &Settings,
        clock: Clock,
        delivery_timeout: Duration,
    ) -> Result<Self, Error> {
        let time_limits = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(3))
            .build();
        let aws = aws_config::defaults(BehaviorVersion::latest())
            // The engine tries again by itself: it knows how much time is left, and it also tries
            // again after a conflict between transactions, which the SDK does not.
            .retry_config(RetryConfig::disabled())
            .timeout_config(time_limits)
            .load()
            .await;
        let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
        Ok(Self {
            store: Store::new(dynamodb.clone(), settings.orders_table.clone()),
            dynamodb,
            publisher: Publisher::new(&settings.kafka_bootstrap_servers, delivery_timeout)?,
            clock,
            row_ttl: settings.row_ttl,
            reports_batch_item_failures: settings.reports_batch_item_failures,
        })
    }
}

/// Writes logs as JSON lines, from `RUST_LOG` or else from level `info` on.
pub fn log_as_json() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).init();
}

/// Answers Lambda with the stages of the engine until the process is stopped.
///
/// # Errors
/// When the Lambda runtime cannot be reached.
pub async fn run(engine: Engine) -> Result<(), Error> {
    let engine = &engine;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Box<RawValue>>| {
        handle_batch(engine, &event).await
    }))
    .await
}

/// Answers one invocation of a Kafka event-source mapping.
///
/// # Errors
/// When the event is none of a Kafka mapping, or the whole batch has to be delivered again.
pub async fn handle_batch(
    engine: &Engine,
    event: &LambdaEvent<Box<RawValue>>,
) -> Result<BatchResponse, Error> {
    let batch: KafkaEvent = serde_json::from_str(event.payload.get())?;
    let left = event.context.deadline().duration_since(now()).unwrap_or_default();
    Ok(engine.handle(&batch, Instant::now() + left).await?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "Lambda states its deadline as a time of the system's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
