//! Lambda's loop around an engine.

use std::time::{Duration, SystemTime};

use engine::{
    Engine,
    lambda_event::{BatchResponse, KafkaEvent, NotKafka},
};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use crate::{Traces, flush_logs};

/// The longest timeout of a Lambda function.
const MAX_INVOCATION: Duration = Duration::from_mins(15);

/// Enough for a batch, and short enough for a person at a terminal.
const ASSUMED_TIME_LEFT: Duration = Duration::from_secs(30);

/// Runs the engine's stages on Lambda's events until the process is stopped.
///
/// # Errors
/// If the Lambda runtime cannot be reached.
pub async fn run(engine: Engine, traces: Traces) -> Result<(), Error> {
    let engine = &engine.traced_by(traces.tracer());
    engine.warm_up().await;
    flush_logs();
    let traces = &traces;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Payload>| {
        handle_batch(engine, traces, event.payload.0, &event.context).await
    }))
    .await
}

/// The payload of an invocation. Any other event than a batch is an error of the handler, whose
/// text has the correction.
struct Payload(Result<KafkaEvent, NotKafka>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(payload: D) -> Result<Self, D::Error> {
        Ok(Self(KafkaEvent::read(payload)))
    }
}

/// Handles one invocation of a Kafka event-source mapping.
///
/// # Errors
/// If the event is not from a Kafka mapping, or the whole batch must be redelivered.
pub async fn handle_batch(
    engine: &Engine,
    traces: &Traces,
    batch: Result<KafkaEvent, NotKafka>,
    invocation: &Context,
) -> Result<BatchResponse, Error> {
    let handled = engine.handle(&batch?, deadline(invocation)).await;
    finish(traces, invocation).await;
    Ok(handled?)
}

/// Exports the spans and writes the log lines of an invocation, before its response.
pub async fn finish(traces: &Traces, invocation: &Context) {
    traces.export(invocation).await;
    flush_logs();
}

pub fn deadline(invocation: &Context) -> Instant {
    Instant::now() + time_left(invocation.deadline(), now())
}

/// The time left for an invocation.
///
/// Lambda's deadline is a point in time. `cargo lambda watch` sends a number of milliseconds, which
/// is a time in 1970: a deadline further back than any invocation can last is replaced by an
/// assumed one.
fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    match now.duration_since(deadline) {
        Ok(past) if past > MAX_INVOCATION => ASSUMED_TIME_LEFT,
        Ok(_) => Duration::ZERO,
        Err(_) => deadline.duration_since(now).unwrap_or_default(),
    }
}

#[expect(clippy::disallowed_methods, reason = "Lambda's deadline is a time of the system's clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use engine::{Context, OrdersTable, Publisher};
    use jiff::Timestamp;
    use kafka::{Brokers, Producer};

    use super::*;

    #[test]
    fn the_deadline_of_cargo_lambda_leaves_time_to_work() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let of_cargo_lambda = SystemTime::UNIX_EPOCH + Duration::from_millis(600_000);
        assert_eq!(time_left(of_cargo_lambda, now), ASSUMED_TIME_LEFT);
    }

    #[tokio::test]
    async fn an_event_that_is_not_kafkas_fails_and_says_what_to_do() {
        let sqs = r#"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#;
        let console = r#"{"key1":"value1","key2":"value2","key3":"value3"}"#;
        let other = r#"{"eventSource":"aws:sqs","records":{}}"#;
        for text in [sqs, console, other, r#"{"records":{}}"#, "{}", "null", "[]"] {
            let error = handle(text).await.unwrap_err().to_string();
            assert!(error.contains("cannot read the event as a batch of Kafka records"), "{error}");
            assert!(
                error.contains("mapping of template.yaml, or with a file of events/"),
                "{error}"
            );
            assert!(!error.contains("value1"), "{error}");
        }
        for source in ["aws:kafka", "SelfManagedKafka"] {
            let empty = format!(r#"{{"eventSource":"{source}","records":{{}}}}"#);
            assert_eq!(handle(&empty).await.unwrap(), BatchResponse::default());
        }
    }

    /// Handles an event without stages, database and brokers.
    async fn handle(event: &str) -> Result<BatchResponse, Error> {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest());
        let clock = || Timestamp::UNIX_EPOCH;
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let producer = Producer::new(&Brokers::plaintext("127.0.0.1:9"), Duration::from_secs(1));
        let engine = Engine::new(Context {
            orders: OrdersTable { client, name: "orders".to_owned(), clock },
            publisher: Publisher::new(producer.unwrap()),
            clock,
            row_ttl: jiff::SignedDuration::from_hours(24),
            reports_batch_item_failures: true,
        });
        let batch = KafkaEvent::read(&mut serde_json::Deserializer::from_str(event));
        handle_batch(&engine, &Traces::default(), batch, &lambda_runtime::Context::default()).await
    }

    #[test]
    fn a_deadline_of_lambda_is_kept_and_one_just_missed_leaves_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(time_left(now + second, now), second);
        assert_eq!(time_left(now - second, now), Duration::ZERO);
    }
}
