//! Setting up the clients of a function.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use kafka_client::{Brokers, MskIam, SignIn, SignInError};
use lambda_runtime::Error;
use stage::{Clients, Clock, Publisher, Store, publisher::DELIVERY_TIMEOUT};

use crate::{KafkaSignIn, Settings};

/// Sets up the clients of a function; they connect when they are first used.
///
/// # Errors
/// When nobody can sign in at the brokers, or the Kafka client cannot be set up.
pub async fn connect(settings: &Settings, clock: Clock) -> Result<Clients, Error> {
    connect_with(settings, clock, DELIVERY_TIMEOUT).await
}

/// The same with another time limit for publishing.
///
/// # Errors
/// When nobody can sign in at the brokers, or the Kafka client cannot be set up.
pub async fn connect_with(
    settings: &Settings,
    clock: Clock,
    delivery_timeout: Duration,
) -> Result<Clients, Error> {
    let aws = aws_config().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let brokers = brokers(settings, &aws, clock).await?;
    Ok(Clients {
        store: Store::new(dynamodb.clone(), settings.orders_table.clone()),
        dynamodb,
        publisher: Publisher::new(&brokers, delivery_timeout)?,
        clock,
        row_ttl: settings.row_ttl,
        reports_batch_item_failures: settings.reports_batch_item_failures,
    })
}

/// How clients of AWS's services are set up: with time limits, and without retries of their own.
pub async fn aws_config() -> SdkConfig {
    let time_limits = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        // The engine tries again by itself: it knows how much time is left, and it also tries
        // again after a conflict between transactions, which the SDK does not.
        .retry_config(RetryConfig::disabled())
        .timeout_config(time_limits)
        .load()
        .await
}

async fn brokers(
    settings: &Settings,
    aws: &SdkConfig,
    clock: Clock,
) -> Result<Brokers, SignInError> {
    let sign_in = match settings.kafka_sign_in {
        KafkaSignIn::None => SignIn::None,
        KafkaSignIn::MskIam => {
            let certificates = settings.kafka_ca_file.clone();
            SignIn::MskIam(MskIam::new(aws, certificates, clock).await?)
        }
    };
    Ok(Brokers { bootstrap_servers: settings.kafka_bootstrap_servers.clone(), sign_in })
}
