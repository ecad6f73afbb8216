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

/// The longest time-out that Lambda lets a function have.
const LONGEST_INVOCATION: Duration = Duration::from_mins(15);

/// Enough for a batch, and short enough for somebody who waits at a terminal.
const ASSUMED_TIME_LEFT: Duration = Duration::from_secs(30);

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
    let left = time_left(event.context.deadline(), now());
    Ok(engine.handle(&batch, Instant::now() + left).await?)
}

/// How long an invocation may still take.
///
/// Lambda states its deadline as a time. `cargo lambda watch` states a number of milliseconds, which
/// reads as a time in 1970: a deadline further back than any invocation can last says nothing, so
/// a time is assumed for it.
fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    match now.duration_since(deadline) {
        Ok(past) if past > LONGEST_INVOCATION => ASSUMED_TIME_LEFT,
        Ok(_) => Duration::ZERO,
        Err(_) => deadline.duration_since(now).unwrap_or_default(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Lambda states its deadline as a time of the system's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_is_no_time_of_ours_leaves_time_to_work() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let of_cargo_lambda = SystemTime::UNIX_EPOCH + Duration::from_millis(600_000);
        assert_eq!(time_left(of_cargo_lambda, now), ASSUMED_TIME_LEFT);
    }

    #[test]
    fn a_deadline_of_lambda_is_kept_and_one_just_missed_leaves_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(time_left(now + second, now), second);
        assert_eq!(time_left(now - second, now), Duration::ZERO);
    }
}
