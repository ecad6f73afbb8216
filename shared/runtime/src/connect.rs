//! The clients of a function.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use contracts::TopicNames;
use engine::{Clock, Context, OrdersTable, Publisher, engine::DELIVERY_TIMEOUT};
use kafka::{Auth, AuthError, Brokers, MskIam, Producer};
use lambda_runtime::Error;

use crate::{KafkaAuth, Settings};

/// Creates the clients of a function, which connect on first use.
///
/// # Errors
/// If authentication is not possible, or the configuration of the Kafka client is invalid.
pub async fn connect(settings: &Settings, clock: Clock) -> Result<Context, Error> {
    connect_with(settings, clock, DELIVERY_TIMEOUT).await
}

/// [`connect`] with another delivery timeout.
///
/// # Errors
/// If authentication is not possible, or the configuration of the Kafka client is invalid.
pub async fn connect_with(
    settings: &Settings,
    clock: Clock,
    delivery_timeout: Duration,
) -> Result<Context, Error> {
    let aws = aws_config().await;
    let client = aws_sdk_dynamodb::Client::new(&aws);
    let brokers = brokers(settings, &aws, clock).await?;
    Ok(Context {
        orders: OrdersTable { client, name: settings.orders_table.clone(), clock },
        publisher: Publisher::new(Producer::new(&brokers, delivery_timeout)?)
            .with_topics(TopicNames::with_prefix(&settings.topic_prefix)),
        clock,
        row_ttl: settings.row_ttl,
        reports_batch_item_failures: settings.reports_batch_item_failures,
    })
}

/// The configuration of AWS's clients: with time limits, and without retries of their own.
pub async fn aws_config() -> SdkConfig {
    let time_limits = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        // The engine retries: it knows how much time is left, and it also retries a conflict
        // between transactions, which the SDK does not.
        .retry_config(RetryConfig::disabled())
        .timeout_config(time_limits)
        .load()
        .await
}

async fn brokers(settings: &Settings, aws: &SdkConfig, clock: Clock) -> Result<Brokers, AuthError> {
    let auth = match settings.kafka_auth {
        KafkaAuth::None => Auth::None,
        KafkaAuth::MskIam => {
            let certificates = settings.kafka_ca_file.clone();
            Auth::MskIam(MskIam::new(aws, certificates, clock).await?)
        }
    };
    Ok(Brokers { bootstrap_servers: settings.kafka_bootstrap_servers.clone(), auth })
}
